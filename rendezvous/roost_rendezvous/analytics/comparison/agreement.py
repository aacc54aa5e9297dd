"""How far two answers are apart, and the risk that their sameness bounds (promises E2, E3; the book, ch. 5). Pure.

To the extent that two models say the same, the new one cannot be worse: of 100,000 answers 1,000 differ, so at most
1.00 % of all answers change, with 95 % certainty at most 1.053 %. While it answers a tenth of the requests, a tenth.

A model's score may travel with its best labels only. A label that is missing there scored no more than the least that
travelled, if the model knows it at all, and nothing if it does not.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from roost_rendezvous.analytics.binomial import LEVEL, upper_limit
from roost_rendezvous.analytics.comparison.joining import Joined
from roost_rendezvous.analytics.rows import Word

SHARES = (0.01, 0.02, 0.1, 0.5)
"""Shares of a roll-out for which the bound is told."""


@dataclass(frozen=True, slots=True)
class Apart:
    """`almost` is what the risk bound counts: the same best label, no label's scores further apart than tolerated."""

    identical: bool
    same_label: bool
    almost: bool
    difference: float
    """Of the label whose scores are furthest apart; 0 is the same."""


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """The bound while the new model answers only a share of the requests: that share of it, exactly."""

    share: float
    risk: float
    upper: float


class Agreement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far two models say the same."""

    compared: int
    identical: int
    almost: int
    same_label: int
    only_one: int
    """Answered by one of them alone; they count as different."""
    tolerance: float
    by: str = "scores"
    """What may be `tolerance` apart: `scores`, or their `quantiles`."""
    risk: float
    """Share of answers that are not almost identical: at most so many can be worse."""
    upper: float
    """Exact one-sided upper limit of it (Clopper and Pearson)."""
    level: float = LEVEL
    scaled: list[Scaled] = []


def furthest(
    one: Mapping[str, float],
    other: Mapping[str, float],
    knows_one: Collection[str] = (),
    knows_other: Collection[str] = (),
) -> float:
    """Largest difference of any label's scores; `knows_…` are all labels that each model knows."""
    if one.keys() == other.keys():
        return max((abs(score - other[label]) for label, score in one.items()), default=0.0)
    apart = 0.0
    for label in one.keys() | other.keys():
        a, b = one.get(label), other.get(label)
        if a is None and b is not None:
            a = min(*one.values(), b) if one and label in knows_one else 0.0
        elif b is None and a is not None:
            b = min(*other.values(), a) if other and label in knows_other else 0.0
        apart = max(apart, abs((a or 0.0) - (b or 0.0)))
    return apart


def apart(
    one: Word, other: Word, tolerance: float, knows_one: Collection[str] = (), knows_other: Collection[str] = ()
) -> Apart:
    """Compare two words that both are answers."""
    difference = furthest(one.scores, other.scores, knows_one, knows_other)
    same_label = one.top == other.top
    return Apart(
        identical=one.scores == other.scores,
        same_label=same_label,
        almost=same_label and difference <= tolerance,
        difference=difference,
    )


def known(words: Iterable[Word]) -> frozenset[str]:
    """All labels that a model ever gave."""
    return frozenset(label for word in words for label in word.scores)


def risk_bound(differing: int, compared: int, share: float = 1.0, level: float = LEVEL) -> tuple[float, float]:
    """(risk, upper limit) while `share` of all requests goes to the new model. Of nothing, nothing is known: 1."""
    if not compared:
        return share, share
    return share * (differing / compared), share * upper_limit(differing, compared, level)


def agreement(
    joined: Joined, aparts: Sequence[Apart], tolerance: float, level: float = LEVEL, by: str = "scores"
) -> Agreement:
    """Counts and bound; `aparts` belong to `joined.pairs`."""
    almost = sum(one.almost for one in aparts)
    differing = joined.compared - almost
    risk, upper = risk_bound(differing, joined.compared, level=level)
    return Agreement(
        compared=joined.compared,
        identical=sum(one.identical for one in aparts),
        almost=almost,
        same_label=sum(one.same_label for one in aparts),
        only_one=len(joined.lonely),
        tolerance=tolerance,
        by=by,
        risk=risk,
        upper=upper,
        level=level,
        scaled=[Scaled(share=share, risk=share * risk, upper=share * upper) for share in SHARES],
    )
