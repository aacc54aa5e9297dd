"""A new model with replicas of all that comes behind it: how far its differences travel (promise E15). Pure.

Production's chain and the replica's chain run on the same requests (the book, ch. 5). At each stage: how often do the
two say something else, does the difference begin here or was it handed down, and how many does the stage swallow?
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from roost_rendezvous.analytics.binomial import wilson
from roost_rendezvous.analytics.comparison.agreement import apart
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.rows import Row, Word


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of both chains, in the order in which results travel."""

    name: str
    production: Choice
    replica: Choice


class StageDifference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one stage makes of it."""

    stage: str
    compared: int
    differing: int
    share: float
    low: float
    high: float
    """Wilson's 95 % interval of the share."""
    begun: int = 0
    """Differing here although every stage before is the same."""
    handed_down: int = 0
    """Differing here, and already before."""
    swallowed: int = 0
    """The same here, although the stage before differs."""
    missing: int = 0
    """Requests without an answer of both at this stage."""


@dataclass(slots=True)
class _Tally:
    compared: int = 0
    differing: int = 0
    begun: int = 0
    handed_down: int = 0
    swallowed: int = 0
    missing: int = 0


@dataclass(slots=True)
class Chain:
    """Takes rows in any order; memory does not grow with them."""

    stages: Sequence[Stage]
    tolerance: float = 0.0
    _tallies: list[_Tally] = field(init=False)

    def __post_init__(self) -> None:
        self._tallies = [_Tally() for _ in self.stages]

    def take(self, row: Row) -> None:
        """One more request. A row that has no stage of the chain at all does not count."""
        words = [(_word(stage.production, row), _word(stage.replica, row)) for stage in self.stages]
        if all(one is None and other is None for one, other in words):
            return
        earlier = last = False
        for tally, (one, other) in zip(self._tallies, words, strict=True):
            if one is None or other is None:
                tally.missing += 1
                continue
            differs = not apart(one, other, self.tolerance).almost
            tally.compared += 1
            tally.differing += differs
            tally.begun += differs and not earlier
            tally.handed_down += differs and earlier
            tally.swallowed += last and not differs
            earlier, last = earlier or differs, differs

    def found(self) -> list[StageDifference]:
        """By stage."""
        return [self._of(stage, tally) for stage, tally in zip(self.stages, self._tallies, strict=True)]

    def _of(self, stage: Stage, tally: _Tally) -> StageDifference:
        low, high = wilson(tally.differing, tally.compared)
        return StageDifference(
            stage=stage.name,
            compared=tally.compared,
            differing=tally.differing,
            share=tally.differing / tally.compared if tally.compared else 0.0,
            low=low,
            high=high,
            begun=tally.begun,
            handed_down=tally.handed_down,
            swallowed=tally.swallowed,
            missing=tally.missing,
        )


def chain(rows: Iterable[Row], stages: Sequence[Stage], tolerance: float = 0.0) -> list[StageDifference]:
    """All rows at once."""
    whole = Chain(stages, tolerance)
    for row in rows:
        whole.take(row)
    return whole.found()


def _word(wanted: Choice, row: Row) -> Word | None:
    return next((word for word in wanted.words(row) if word.scores), None)
