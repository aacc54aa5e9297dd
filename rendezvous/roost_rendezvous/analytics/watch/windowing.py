"""Windows of ten minutes: distributions by task, model, label and tags, and latency as those who asked felt it. Pure.

What is closed waits in `closed` until the shell has it on the card. Durations are kept twice: `latency` as measured,
and `latency-corrected` with what could not be asked while nothing moved (coordinated omission, `sketches.omission`).
"""

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.sketches.book import Closed, SketchBook
from roost_rendezvous.analytics.sketches.omission import OmissionCore
from roost_rendezvous.analytics.sketches.qualifiers import (
    PERIOD_S,
    Qualifiers,
    from_bytes,
    period_of,
    qualifiers,
    to_bytes,
)
from roost_rendezvous.analytics.watch.observed import Asked, Decided

_SECOND = 1_000_000_000
_UNIQUE_TAGS = frozenset({"event", "name", "worth"})
"""Different for every picture: a window for each would be no window."""
_MOST_TAGS = 4
_MOST_TASKS = 64
_MOST_CLOSED = 20_000


class Windowing:
    """Of all tasks of a device. Times are steady nanoseconds."""

    def __init__(self) -> None:
        self.lost = 0
        """Closed windows that no card could take."""
        self._book = SketchBook()
        self._omission: dict[str, OmissionCore] = {}
        self._closed: list[Closed] = []
        self._period = 0
        self._now = 0

    def observed(self, one: Asked | Decided) -> None:
        """A request came, or was answered."""
        self._now = max(self._now, one.heard)
        core = self._omission.get(one.task)
        if core is None:
            if len(self._omission) >= _MOST_TASKS:
                return
            core = self._omission[one.task] = OmissionCore()
        if isinstance(one, Asked):
            core.arrive(one.request_id, one.heard, source=one.tags.get("camera", ""))
        else:
            core.complete(one.request_id, one.heard)

    def row(self, row: Row) -> None:
        """A row has settled."""
        tags = _tags(row.tags)
        for word in row.words:
            model = (word.model, word.version)
            for label, score in word.scores.items():
                self._add(_about(row.task, "score", tags, *model, label), score, row.at)
            if word.elapsed_ms is not None:
                self._add(_about(row.task, "latency", tags, *model), word.elapsed_ms, row.at)
            if word.compute_ms is not None:
                self._add(_about(row.task, "compute", tags, *model), word.compute_ms, row.at)
        if row.elapsed_ms is not None:
            self._add(_about(row.task, "latency", tags), row.elapsed_ms, row.at)
        if row.score is not None:
            self._add(_about(row.task, "answer", tags, label=row.label), row.score, row.at)
        for name, value in row.input.items():
            if isinstance(value, float):
                self._add(_about(row.task, "input", tags, label=name), value, row.at)

    def look(self, now: int) -> None:
        """Time has passed: close what is over."""
        self._now = max(self._now, now)
        period = period_of(now)
        if self._period and period > self._period:
            at = (self._period + PERIOD_S) * _SECOND - 1
            for task, core in self._omission.items():
                found = core.take(min(now, at + 1))
                self._book.add_sketch(qualifiers(task, "latency-corrected"), found.corrected, at, at)
        self._period = period
        for core in self._omission.values():
            core.tick(now)
        self._closed += self._book.tick(now)
        if len(self._closed) > _MOST_CLOSED:
            self.lost += len(self._closed) - _MOST_CLOSED
            del self._closed[:-_MOST_CLOSED]

    def take(self) -> list[Any]:
        """What is closed, as plain values; it is forgotten here."""
        closed, self._closed = self._closed, []
        return [
            [one.period, msgspec.to_builtins(one.about), base64.b64encode(to_bytes(one.sketch)).decode()]
            for one in closed
        ]

    def snapshot(self) -> Any:
        """Plain values. What `take` gave is not in it."""
        return {
            "book": self._book.snapshot(),
            "omission": {task: core.snapshot() for task, core in self._omission.items()},
            "period": self._period,
            "now": self._now,
        }

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        self._book.restore(kept["book"])
        self._period, self._now = kept["period"], kept["now"]
        for task, plain in kept["omission"].items():
            self._omission[task] = core = OmissionCore()
            core.restore(plain)

    def _add(self, about: Qualifiers, value: float, at: int) -> None:
        self._book.add(about, value, at, max(self._now, 1))


def closed_of(plain: list[Any]) -> list[Closed]:
    """What `take` gave, for the store. Raises `PeerError` or ValueError for anything else."""
    return [
        Closed(period, msgspec.convert(about, Qualifiers), from_bytes(base64.b64decode(body)))
        for period, about, body in plain
    ]


@lru_cache(maxsize=1_000)
def _about(
    task: str, kind: str, tags: tuple[tuple[str, str], ...], model: str = "", version: str = "", label: str = ""
) -> Qualifiers:
    """Remembered, as a few hundred combinations come again with every request."""
    return qualifiers(task, kind, model=model, version=version, label=label, tags=dict(tags))


def _tags(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    known = sorted(name for name in tags if name not in _UNIQUE_TAGS)
    return tuple((name, tags[name]) for name in known[:_MOST_TAGS])
