"""From rows to a report: two passes over any iterable that can be walked twice, so a file need not fit into memory.

The first pass learns who and when; the second (`task_rows`) fills periods of equal length. Pure: files are opened by
whoever calls.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from roost_rendezvous.analytics.alarms.episode import Marker
from roost_rendezvous.analytics.faces.task_rows import MOST_MODELS, TaskRows
from roost_rendezvous.analytics.faces.values import Report
from roost_rendezvous.analytics.rows import Row

_MOST_TASKS = 50


def gather(rows: Callable[[], Iterable[Row]], *, source: str, made_at: int, since: int = 0, until: int = 0) -> Report:
    """Everything that rows alone can tell. `since` and `until` (not included) bound the time; 0: no bound."""

    def inside() -> Iterator[Row]:
        for row in rows():
            if row.at >= since and (not until or row.at < until):
                yield row

    seen: dict[str, _Seen] = {}
    left_out: Counter[str] = Counter()
    for row in inside():
        if row.task not in seen and len(seen) >= _MOST_TASKS:
            left_out["tasks beyond the first 50"] += 1
            continue
        seen.setdefault(row.task, _Seen()).take(row)
    if not seen:
        return Report(source=source, made_at=made_at, since=since, until=until, notes=("There are no requests.",))
    start, end = min(one.first for one in seen.values()), max(one.last for one in seen.values()) + 1
    tasks = {name: TaskRows(name, one.main, start, end, told=one.told) for name, one in seen.items()}
    for row in inside():
        if row.task in tasks:
            tasks[row.task].take(row)
    marks = [mark for name, one in seen.items() for mark in one.marks(name, start, end)]
    return Report(
        source=source,
        made_at=made_at,
        since=start,
        until=end,
        tasks=tuple(task.told() for task in tasks.values()),
        marks=tuple(sorted(marks, key=lambda mark: mark.at)),
        left_out=dict(left_out),
    )


class _Seen:
    """First pass: who, and when."""

    def __init__(self) -> None:
        self.first = self.last = -1
        self.official: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.told = False
        """Some row has an outcome."""
        self._versions: dict[tuple[str, str], int] = {}

    def take(self, row: Row) -> None:
        self.first = row.at if self.first < 0 else min(self.first, row.at)
        self.last = max(self.last, row.at)
        self.told = self.told or bool(row.cause)
        if row.answered_by:
            self.official[row.answered_by] += 1
        for word in row.words:
            if len(self.answers) < MOST_MODELS or word.model in self.answers:
                self.answers[word.model] += bool(word.scores)
            key = (word.model, word.version)
            if word.scores and (key in self._versions or len(self._versions) < 4 * MOST_MODELS):
                self._versions[key] = min(row.at, self._versions.get(key, row.at))

    @property
    def main(self) -> str:
        """The model that is official most often; where none is, the one that answers most."""
        ranked = (self.official or self.answers).most_common(1)
        return ranked[0][0] if ranked else ""

    def marks(self, task: str, start: int, end: int) -> Iterator[Marker]:
        """Versions that came while it was watched."""
        edge = start + (end - start) // 100
        for (model, version), at in self._versions.items():
            if at > edge:
                known = any(other == model and when < at for (other, _), when in self._versions.items())
                said = f"{model} {version} came" if known else f"{model} {version} began".replace("  ", " ")
                yield Marker(at=at, text=said, task=task, model=model)
