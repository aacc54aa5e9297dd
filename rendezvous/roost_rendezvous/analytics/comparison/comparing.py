"""The whole comparison of two models: join, agreement, quantiles, sample, cohorts, truth, advice. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.binomial import LEVEL
from roost_rendezvous.analytics.comparison import counting, sampling
from roost_rendezvous.analytics.comparison.agreement import Apart, agreement, apart, known, risk_bound
from roost_rendezvous.analytics.comparison.cascades import Exchange, exchange
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.comparison.joining import MOST_PAIRS, Joined, Pair, join
from roost_rendezvous.analytics.comparison.recommending import Evidence, recommend
from roost_rendezvous.analytics.comparison.report import Comparison, Drawn, Gain, Group
from roost_rendezvous.analytics.comparison.scoring import Histories, LabelScores, common_labels, scores_of
from roost_rendezvous.analytics.rows import Row

MOST_LABELS = 12
MOST_GROUPS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """How to compare; checked when it is made. Raises `Misuse`."""

    tolerance: float = 0.05
    """Scores no further apart are almost identical; 0: only equal ones are."""
    sample: int = 40
    """Differing requests to be looked at."""
    seed: int = 1
    by: Literal["scores", "quantiles"] = "scores"
    """What may be so far apart. Quantiles are for models whose scores are on different scales."""
    strata_by: Literal["scores", "quantiles"] = "quantiles"
    """What differing requests are put into strata by."""
    behind: tuple[Choice, ...] = ()
    """Stages that look at what the compared ones let pass: what the whole finds counts, not one of them alone."""
    find: str = ""
    """The label that a cascade is to find, where it is the truth."""
    cohorts: tuple[str, ...] = ()
    """Tags by whose values the comparison is told as well."""
    level: float = LEVEL
    most_pairs: int = MOST_PAIRS

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= 1:
            raise Misuse(f"A tolerance of {self.tolerance} makes no sense.", "It is a distance of scores: 0 to 1.")
        if not 1 <= self.sample <= 2_000:
            raise Misuse(f"A sample of {self.sample} is not possible.", "From 1 to 2,000 requests.")
        if bool(self.behind) != bool(self.find):
            raise Misuse("A cascade needs both its stages and what they shall find.", "Give --behind and --find.")
        if not 0.5 <= self.level < 1:
            raise Misuse(f"A level of {self.level} is none.", "From 0.5 to below 1, usually 0.95.")


@dataclass(frozen=True, slots=True)
class Whole:
    """The comparison with the scores behind it, for plots."""

    found: Comparison
    scores: list[LabelScores]


def compare(
    rows: Iterable[Row], one: Choice, other: Choice, options: Options | None = None, histories: Histories | None = None
) -> Whole:
    """Compare two models on all rows that hold both. Raises `Misuse` when there is nothing to compare."""
    options = options or Options()
    joined = join(rows, one, other, most=options.most_pairs, behind=options.behind)
    _check(joined)
    pairs = joined.pairs
    knows_one, knows_other = known(pair.one for pair in pairs), known(pair.other for pair in pairs)
    aparts = [apart(pair.one, pair.other, options.tolerance, knows_one, knows_other) for pair in pairs]
    labels, left_out = common_labels(pairs, MOST_LABELS)
    scores = [scores_of(pairs, label, histories) for label in labels]
    ranks = np.maximum.reduce([label.apart for label in scores]).tolist() if scores else []
    if options.by == "quantiles" and ranks:
        aparts = [
            replace(one, almost=one.same_label and rank <= options.tolerance, difference=rank)
            for one, rank in zip(aparts, ranks, strict=True)
        ]
    differing, drawn = _sampled(joined, aparts, ranks if options.strata_by == "quantiles" else [], options)
    bound = agreement(joined, aparts, options.tolerance, options.level, options.by)
    paired = counting.paired(pairs)
    sides = counting.side(joined, 0), counting.side(joined, 1)
    cascade = _cascade(joined, options)
    advice, reasons = recommend(
        Evidence(
            compared=bound.compared,
            upper=bound.upper,
            risk=bound.risk,
            failed_one=counting.failed(sides[0], bound.compared),
            failed_other=counting.failed(sides[1], bound.compared),
            p99_one_ms=sides[0].p99_ms,
            p99_other_ms=sides[1].p99_ms,
            beyond_one=sides[0].beyond_deadline / max(1, sides[0].answered),
            beyond_other=sides[1].beyond_deadline / max(1, sides[1].answered),
            only_one=None if paired is None else paired.only_one,
            only_other=None if paired is None else paired.only_other,
            labelled=0 if paired is None else paired.labelled,
            whole_worse=cascade.sentence if cascade is not None and cascade.advice == "do not promote" else "",
        )
    )
    found = Comparison(
        one=sides[0],
        other=sides[1],
        task=next(iter(joined.tasks)),
        rows=joined.rows,
        first_at=min(pair.at for pair in (*pairs, *joined.lonely)),
        last_at=max(pair.at for pair in (*pairs, *joined.lonely)),
        duplicates=joined.duplicates,
        mixed_inputs=joined.mixed,
        mixed_ids=joined.mixed_ids,
        agreement=bound,
        strata_by=options.strata_by if scores else "scores",
        labels=[counting.by_label(one_label, pairs) for one_label in scores],
        labels_left_out=left_out,
        strata=drawn.strata if drawn is not None else [],
        sample=[] if drawn is None else [_drawn(differing, drawn, place) for place in range(len(drawn.chosen))],
        groups=[group for tag in options.cohorts for group in by_cohort(joined, aparts, tag, options.level)],
        paired=paired,
        gain=_gain(differing, drawn),
        cascade=cascade,
        recommendation=advice,
        reasons=reasons,
    )
    return Whole(found, scores)


def by_cohort(joined: Joined, aparts: Sequence[Apart], tag: str, level: float = LEVEL) -> list[Group]:
    """The same risk bound within each value of a tag, the largest groups first; `""` is without the tag (E16)."""
    compared: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for pair, one in zip(joined.pairs, aparts, strict=True):
        counts = compared[pair.tags.get(tag, "")]
        counts[0] += 1
        counts[1] += one.almost
    for pair in joined.lonely:
        compared[pair.tags.get(tag, "")][0] += 1
    groups = []
    for value, (of, almost) in sorted(compared.items(), key=lambda item: (-item[1][0], item[0]))[:MOST_GROUPS]:
        risk, upper = risk_bound(of - almost, of, level=level)
        groups.append(Group(tag=tag, value=value, compared=of, almost=almost, risk=risk, upper=upper))
    return groups


def _check(joined: Joined) -> None:
    if len(joined.tasks) > 1:
        raise Misuse(
            f"The rows are of several tasks: {', '.join(sorted(joined.tasks))}.", "Name one of them with --task."
        )
    if not joined.compared:
        why = "; ".join(
            f"{name}: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            for name, reasons in joined.missing.items()
        )
        raise Misuse(
            f"No request has answers of both {joined.one.name} and {joined.other.name} ({joined.rows:,} rows; {why})."
            if why
            else f"No request has answers of both {joined.one.name} and {joined.other.name} ({joined.rows:,} rows).",
            "`roost compare` without models lists those there are.",
        )


@dataclass(frozen=True, slots=True)
class _Differing:
    pair: Pair
    stratum: str
    stake: float
    difference: float


def _sampled(
    joined: Joined, aparts: Sequence[Apart], ranks: Sequence[float], options: Options
) -> tuple[list[_Differing], sampling.Sample | None]:
    distances = ranks or [one.difference for one in aparts]
    what = "quantiles" if ranks else "scores"
    differing = [
        _Differing(
            pair,
            sampling.stratum_name(distance, same_label=one.same_label, of=what),
            sampling.stake(distance, same_label=one.same_label),
            distance,
        )
        for pair, one, distance in zip(joined.pairs, aparts, distances, strict=True)
        if not one.almost
    ]
    differing += [
        _Differing(
            pair,
            sampling.stratum_name(1.0, same_label=False, only_one=True),
            sampling.stake(1.0, same_label=False, only_one=True),
            1.0,
        )
        for pair in joined.lonely
    ]
    if not differing:
        return [], None
    names = [one.stratum for one in differing]
    least = sum(min(sampling.LEAST, names.count(name)) for name in set(names))
    count = max(options.sample, least)
    return differing, sampling.draw(names, [one.stake for one in differing], count, options.seed)


def _drawn(differing: Sequence[_Differing], sample: sampling.Sample, place: int) -> Drawn:
    one = differing[sample.chosen[place]]
    stratum = sample.strata[sample.stratum_of[place]]
    pair = one.pair
    return Drawn(
        request_id=pair.request_id,
        at=pair.at,
        stratum=stratum.name,
        weight=stratum.weight,
        difference=one.difference,
        one=pair.one.top,
        one_score=pair.one.scores.get(pair.one.top),
        other=pair.other.top,
        other_score=pair.other.scores.get(pair.other.top),
        frame=pair.frame,
        truth=pair.truth,
        tags=pair.tags,
    )


def _gain(differing: Sequence[_Differing], sample: sampling.Sample | None) -> Gain | None:
    """From the truth of the sample's requests, where there is any in every stratum."""
    if sample is None:
        return None
    outcomes = {
        index: float(counting.right(differing[index].pair, 1) - counting.right(differing[index].pair, 0))
        for index in sample.chosen
        if differing[index].pair.truth
    }
    found = sampling.estimate(sample, outcomes) if outcomes else None
    return None if found is None else Gain(estimate=found, by="truth")


def _cascade(joined: Joined, options: Options) -> Exchange | None:
    """On the pairs whose truth is what is to be found."""
    cases = [pair for pair in joined.pairs if pair.truth == options.find]
    if not options.find or not cases:
        return None
    old, new = joined.one.name, joined.other.name
    flags = {
        old: np.array([pair.one.top == options.find for pair in cases]),
        new: np.array([pair.other.top == options.find for pair in cases]),
    }
    for stage in options.behind:
        flags[stage.name] = np.array(
            [any(word.top == options.find for word in stage.among(pair.behind)) for pair in cases]
        )
    return exchange([old, *(stage.name for stage in options.behind)], old, new, flags)
