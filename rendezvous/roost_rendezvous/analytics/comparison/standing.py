"""A model against yesterday, last month, the canary and the best there was (promise M9). Pure.

Accuracy decays; the question is how fast, and beside what. What is counted by day is how often a model was right, where
the truth is known, and how often it said what the canary said, which needs no truth.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from roost_rendezvous.analytics.binomial import wilson
from roost_rendezvous.analytics.rows import Row

DAY_NS = 86_400_000_000_000
MONTH = 30
ENOUGH = 30
"""Requests on either side below which nothing is said."""
MOST_DAYS = 400
"""Days kept of each model."""

Against: TypeAlias = Literal["yesterday", "last month", "canary", "best"]


class Day(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One model on one day (UTC)."""

    model: str
    day: int
    """Days since 1970."""
    answered: int = 0
    labelled: int = 0
    right: int = 0
    beside_canary: int = 0
    as_canary: int = 0


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One comparison: now against then, or against somebody else."""

    against: Against
    what: str
    """`right`, or `as the canary` where no truth is known."""
    beside: str = ""
    """Of which model or day the other figure is."""
    now: float | None = None
    then: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    """95 % interval of the difference (Newcombe)."""
    why_not: str = ""


class Days:
    """Counts by model and day; memory is bounded by days, not by requests."""

    def __init__(self, canary: str = "", *, most_days: int = MOST_DAYS, days: Iterable[Day] = ()) -> None:
        self._canary = canary
        self._most = most_days
        self._days: dict[tuple[str, int], Day] = {(one.model, one.day): one for one in days}

    def take(self, row: Row) -> None:
        """One more row."""
        day = row.at // DAY_NS
        canary = row.word(self._canary) if self._canary else None
        beside = canary is not None and bool(canary.scores)
        for word in row.words:
            if not word.scores:
                continue
            name = f"{word.model}@{word.version}" if word.version else word.model
            old = self._days.get((name, day)) or Day(model=name, day=day)
            self._days[name, day] = Day(
                model=name,
                day=day,
                answered=old.answered + 1,
                labelled=old.labelled + bool(row.truth),
                right=old.right + (bool(row.truth) and word.top == row.truth),
                beside_canary=old.beside_canary + beside,
                as_canary=old.as_canary + (beside and canary is not None and word.top == canary.top),
            )
            if old.answered == 0:
                self._forget(name, day)

    def of(self, model: str) -> list[Day]:
        """All days of a model, in order."""
        return sorted((one for (name, _), one in self._days.items() if name == model), key=lambda one: one.day)

    def models(self) -> list[str]:
        """Whose days there are."""
        return sorted({name for name, _ in self._days})

    def snapshot(self) -> list[Day]:
        """To go on from: `Days(canary, days=…)`."""
        return sorted(self._days.values(), key=lambda one: (one.model, one.day))

    def standing(self, model: str, today: int) -> list[Standing]:
        """The four comparisons of a model on a day."""
        mine = [one for one in self.of(model) if one.day == today]
        yesterday = [one for one in self.of(model) if one.day == today - 1]
        month = [one for one in self.of(model) if today - MONTH <= one.day < today]
        truth = _sum(mine)[1] >= ENOUGH
        canary = [
            one
            for name, day in self._days
            if day == today and name.split("@")[0] == self._canary
            for one in (self._days[name, day],)
        ]
        best, named = self._best(model, today, truth=truth)
        return [
            _against("yesterday", mine, yesterday, truth=truth),
            _against("last month", mine, month, truth=truth, beside=f"{len(month)} days"),
            _beside_canary(mine, canary, self._canary, truth=truth),
            _against("best", mine, best, truth=truth, beside=named),
        ]

    def _best(self, model: str, today: int, *, truth: bool) -> tuple[list[Day], str]:
        """The model whose lower limit over a month is the highest, itself included: a lucky day is no record."""
        candidates = []
        for name in self.models():
            if self._canary and not truth and name.split("@")[0] == self._canary:
                continue  # nobody says more of what the canary says than the canary
            days = [one for one in self.of(name) if today - MONTH <= one.day < today]
            right, of = _counts(days, truth=truth)
            if of >= ENOUGH:
                candidates.append((wilson(right, of)[0], name, days))
        if not candidates:
            return [], ""
        _, name, days = max(candidates, key=lambda one: (one[0], one[1]))
        return days, f"itself, {len(days)} days" if name == model else f"{name}, {len(days)} days"

    def _forget(self, model: str, newest: int) -> None:
        for key in [key for key in self._days if key[0] == model and key[1] <= newest - self._most]:
            del self._days[key]


def days(rows: Iterable[Row], canary: str = "") -> Days:
    """All rows at once."""
    whole = Days(canary)
    for row in rows:
        whole.take(row)
    return whole


def difference(right: int, of: int, other: int, other_of: int) -> tuple[float, float, float]:
    """Difference of two shares with Newcombe's 95 % interval (method 10): (difference, low, high)."""
    one, two = right / of, other / other_of
    (low1, high1), (low2, high2) = wilson(right, of), wilson(other, other_of)
    apart = one - two
    return (
        apart,
        apart - math.sqrt((one - low1) ** 2 + (high2 - two) ** 2),
        apart + math.sqrt((high1 - one) ** 2 + (two - low2) ** 2),
    )


def _sum(found: Sequence[Day]) -> tuple[int, int]:
    return sum(one.right for one in found), sum(one.labelled for one in found)


def _counts(found: Sequence[Day], *, truth: bool) -> tuple[int, int]:
    if truth:
        return _sum(found)
    return sum(one.as_canary for one in found), sum(one.beside_canary for one in found)


def _against(
    against: Against, mine: Sequence[Day], theirs: Sequence[Day], *, truth: bool, beside: str = ""
) -> Standing:
    what = "right" if truth else "as the canary"
    (right, of), (other, other_of) = _counts(mine, truth=truth), _counts(theirs, truth=truth)
    if min(of, other_of) < ENOUGH:
        why = f"not enough: {of} today and {other_of} to compare with, of {ENOUGH}"
        return Standing(against=against, what=what, beside=beside, why_not=why)
    apart, low, high = difference(right, of, other, other_of)
    return Standing(
        against=against,
        what=what,
        beside=beside,
        now=right / of,
        then=other / other_of,
        difference=apart,
        low=low,
        high=high,
    )


def _beside_canary(mine: Sequence[Day], canary: Sequence[Day], name: str, *, truth: bool) -> Standing:
    if not name:
        return Standing(against="canary", what="right", why_not="no canary is named")
    if truth:
        return _against("canary", mine, canary, truth=True, beside=name)
    same, of = _counts(mine, truth=False)
    if of < ENOUGH:
        why = f"not enough: {of} requests beside the canary, of {ENOUGH}"
        return Standing(against="canary", what="as the canary", beside=name, why_not=why)
    low, high = wilson(same, of)
    return Standing(against="canary", what="as the canary", beside=name, now=same / of, low=low, high=high)
