"""The scores of pairs as arrays, by label, raw and as quantiles. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roost_rendezvous.analytics.comparison.joining import Pair
from roost_rendezvous.analytics.comparison.quantiles import Floats, History, Ranks


@dataclass(frozen=True, slots=True)
class LabelScores:
    """One label's scores of all pairs, in the order of the pairs."""

    label: str
    one: Floats
    other: Floats
    one_quantiles: Floats
    other_quantiles: Floats
    not_given: int

    @property
    def apart(self) -> Floats:
        """Distance of the quantiles, pair by pair."""
        return np.asarray(np.abs(self.one_quantiles - self.other_quantiles), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Histories:
    """The historical sets by label, of each model; a label that is missing here is its own history."""

    one: Mapping[str, Ranks]
    other: Mapping[str, Ranks]


def common_labels(pairs: Sequence[Pair], most: int) -> tuple[list[str], int]:
    """Labels that both models gave, those given as best most often first; and how many there are beyond `most`."""
    given_one: set[str] = set()
    given_other: set[str] = set()
    best: Counter[str] = Counter()
    for pair in pairs:
        given_one.update(pair.one.scores)
        given_other.update(pair.other.scores)
        best[pair.one.top] += 1
        best[pair.other.top] += 1
    labels = sorted(given_one & given_other, key=lambda label: (-best[label], label))
    return labels[:most], max(0, len(labels) - most)


def scores_of(pairs: Sequence[Pair], label: str, histories: Histories | None = None) -> LabelScores:
    """A label's scores. A model that does not tell this label's score in a request gives it 0 there."""
    one = np.array([pair.one.scores.get(label, 0.0) for pair in pairs], dtype=np.float64)
    other = np.array([pair.other.scores.get(label, 0.0) for pair in pairs], dtype=np.float64)
    not_given = sum(label not in pair.one.scores or label not in pair.other.scores for pair in pairs)
    mine = histories.one.get(label) if histories is not None else None
    theirs = histories.other.get(label) if histories is not None else None
    return LabelScores(
        label=label,
        one=one,
        other=other,
        one_quantiles=(mine or History(one)).quantiles(one),
        other_quantiles=(theirs or History(other)).quantiles(other),
        not_given=not_given,
    )
