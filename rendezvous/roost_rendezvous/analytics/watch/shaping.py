"""Shapes of one task (`shapes.watching`) as the watch uses them: rows in, readings out, a new normal by name. Pure."""

from collections.abc import Iterable
from typing import Any

from roost_rendezvous.analytics.reading import Reading
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.shapes.settings import ShapeSettings
from roost_rendezvous.analytics.shapes.watching import ShapesWatch

_NO_FIELDS = frozenset({"frame.sha256", "name"})
"""Names of single pictures: every value is new."""


class Shaping:
    """Scores, clusters, durations, agreement with the canary, fields of input and state."""

    def __init__(self, task: str, *, canary: str, most: int) -> None:
        self._watch = ShapesWatch(task, ShapeSettings(most_streams=most), canaries=[canary] if canary else [])
        self._said: list[Reading] | None = None
        """While no row has come since."""

    def __len__(self) -> int:
        """Streams that are watched."""
        return len(self._watch)

    @property
    def left_out(self) -> int:
        """Observations of streams for which there was no room."""
        return self._watch.left_out

    def row(self, row: Row) -> None:
        """One settled request."""
        self._watch.handle(row_without(row, _NO_FIELDS))
        self._said = None

    def tick(self, now: int) -> list[Reading]:
        """What all have to say."""
        if self._said is None:
            self._said = list(self._watch.tick(now))
        return list(self._said)

    def accept(self, names: Iterable[str]) -> None:
        """What these are now is the new normal."""
        wanted = set(names)
        for signal in [one for one in self._watch.signals if one.name in wanted]:
            self._watch.relearn(signal)
        self._said = None

    def snapshot(self) -> Any:
        """Plain values."""
        return self._watch.snapshot()

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        self._watch.restore(kept)


def row_without(row: Row, names: frozenset[str]) -> Row:
    """The row without some fields of its input."""
    if names.isdisjoint(row.input):
        return row
    kept = {name: value for name, value in row.input.items() if name not in names}
    return Row(**{name: getattr(row, name) for name in Row.__struct_fields__ if name != "input"}, input=kept)
