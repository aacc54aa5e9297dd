"""What each of two models did, label by label and where the truth is known. Pure."""

from collections.abc import Sequence

import numpy as np

from roost_rendezvous.analytics.binomial import mcnemar
from roost_rendezvous.analytics.comparison.joining import Joined, Pair
from roost_rendezvous.analytics.comparison.matching import tops
from roost_rendezvous.analytics.comparison.quantiles import spearman
from roost_rendezvous.analytics.comparison.report import ByLabel, Paired, Side
from roost_rendezvous.analytics.comparison.scoring import LabelScores
from roost_rendezvous.analytics.rows import Word


def right(pair: Pair, side: int) -> bool:
    """Whether this side's best label is the true one."""
    return (pair.other if side else pair.one).top == pair.truth


def paired(pairs: Sequence[Pair]) -> Paired | None:
    """Where the truth is known; None where it never is."""
    labelled = [pair for pair in pairs if pair.truth]
    if not labelled:
        return None
    rights = [(right(pair, 0), right(pair, 1)) for pair in labelled]
    only_one = sum(one and not other for one, other in rights)
    only_other = sum(other and not one for one, other in rights)
    return Paired(
        labelled=len(labelled),
        both=sum(one and other for one, other in rights),
        only_one=only_one,
        only_other=only_other,
        p_value=mcnemar(only_one, only_other),
    )


def side(joined: Joined, which: int) -> Side:
    """One of the two: 0 or 1."""
    choice = joined.other if which else joined.one
    words: list[tuple[Word, int]] = []
    for pair in (*joined.pairs, *joined.lonely):
        word = pair.other if which else pair.one
        if word.scores:
            words.append((word, pair.deadline_ms))
    times = np.array([word.elapsed_ms for word, _ in words if word.elapsed_ms is not None], dtype=np.float64)
    return Side(
        name=choice.name,
        versions=sorted({word.version for word, _ in words if word.version}),
        answered=len(words),
        late=sum(word.outcome == "late" for word, _ in words),
        missing=joined.missing.get(choice.name, {}),
        p50_ms=float(np.quantile(times, 0.5)) if times.size else None,
        p99_ms=float(np.quantile(times, 0.99)) if times.size else None,
        beyond_deadline=sum(word.elapsed_ms is not None and 0 < deadline < word.elapsed_ms for word, deadline in words),
    )


def failed(side: Side, compared: int) -> float:
    """Share of requests that this side could not answer, of those that count."""
    return 1 - side.answered / compared if compared else 0.0


def by_label(scores: LabelScores, pairs: Sequence[Pair]) -> ByLabel:
    """One label's scores, raw and as quantiles; they are those of `pairs`."""
    distances = scores.apart
    label = scores.label
    return ByLabel(
        label=label,
        requests=int(scores.one.size),
        not_given=scores.not_given,
        best_of_one=sum((pair.one.top == label) != (pair.other.top == label) for pair in pairs),
        raw_difference=float(np.median(np.abs(scores.one - scores.other))),
        quantile_difference=float(np.median(distances)),
        quantile_difference_95=float(np.quantile(distances, 0.95)),
        spearman=spearman(scores.one_quantiles, scores.other_quantiles),
        tops=tops(scores.one_quantiles, scores.other_quantiles),
    )
