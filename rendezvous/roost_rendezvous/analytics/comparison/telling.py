"""A comparison in words and short tables, for the terminal and for the page. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from roost_rendezvous.analytics.comparison.matching import sentence
from roost_rendezvous.analytics.comparison.report import ByLabel, Comparison, Drawn, Side
from roost_rendezvous.analytics.comparison.standing import Standing
from roost_rendezvous.analytics.faces.telling import AFTER

Cells = tuple[str, ...]
ALIKE = 0.02
"""Median distance of scores up to which both are on the same scale."""
_ADVICE = {
    "promote": "Nothing here speaks against the next step",
    "continue": "Let it run on beside the other",
    "retire": "Take it out",
}


def headline(found: Comparison) -> str:
    """What was compared."""
    of = f" of {found.task}" if found.task else ""
    return f"{found.one.name} beside {found.other.name}: {found.agreement.compared:,} requests{of}"


def period(found: Comparison) -> str:
    """When they were asked."""
    if found.first_at is None or found.last_at is None or found.last_at <= 0:
        return ""
    return f"{moment(found.first_at)} to {moment(found.last_at)} UTC"


def risk(found: Comparison) -> list[str]:
    """Sameness, and what it bounds."""
    one = found.agreement
    lines = [
        f"{one.almost:,} of {one.compared:,} answers are almost identical ({percent(one.almost, one.compared)}): "
        f"{_same(found)}. To the bit: {one.identical:,}. "
        f"The same best label: {one.same_label:,}.",
        f"Whichever of the two is right, at most {exact(one.risk)} of all answers change by taking the other; "
        f"upper {100 * one.level:g} % limit {exact(one.upper)}.",
        "While it answers a share of the requests only: "
        + ", ".join(f"{exact(scaled.upper)} at {100 * scaled.share:g} %" for scaled in one.scaled)
        + ".",
    ]
    if one.only_one:
        lines.append(f"In {one.only_one:,} requests only one of them answered; these count as different.")
    return lines


def _same(found: Comparison) -> str:
    one = found.agreement
    if one.by == "quantiles":
        return f"the same best label, no label's quantile more than {100 * one.tolerance:g} points apart"
    return f"the same best label, no score more than {one.tolerance:g} apart"


def labels(found: Comparison) -> list[Cells]:
    """By label: name, requests, scores apart, quantiles apart, order, top 1/5/10/50 %."""
    return [
        (
            one.label,
            f"{one.raw_difference:.3g}",
            f"{100 * one.quantile_difference:.2g} %",
            "" if one.spearman is None else f"{one.spearman:.3f}",
            *(f"{100 * top.overlap:.0f} %" for top in one.tops),
        )
        for one in found.labels
    ]


LABELS_HEAD: Cells = ("label", "scores apart", "quantiles apart", "same order", "top 1 %", "5 %", "10 %", "50 %")


def match(one: ByLabel) -> str:
    """The statement about the highest scores, in words."""
    return f"{one.label}: {sentence(one.tops)}."


def calibration(one: ByLabel) -> str:
    """Whether the scores mean the same, or only their order does."""
    if one.spearman is None:
        return "One of the models always gives the same score, so there is no order to compare."
    if 2 * one.not_given > one.requests:
        both = one.requests - one.not_given
        return (
            f"Both told this score in {both:,} of {one.requests:,} requests only. Where one did not it counts as 0, so "
            "how far they are apart says little."
        )
    if one.raw_difference <= ALIKE:
        said_ = f"In half of the requests the scores are at most {one.raw_difference:.2g} apart."
        if one.best_of_one:
            said_ += f" Yet in {one.best_of_one:,} of {one.requests:,} it is the best label of one of them only."
        return said_
    if _rescaled(one):
        return "The scales differ, but the order is nearly the same: compare quantiles, not scores."
    return "Scores and their order differ."


def _rescaled(one: ByLabel) -> bool:
    """Other scores, nearly the same order."""
    return one.raw_difference > ALIKE and one.quantile_difference <= 0.05 and (one.spearman or 0.0) > 0.9


def sides(found: Comparison) -> list[Cells]:
    """Both models: what, one, other."""
    one, other = found.one, found.other
    rows: list[Cells] = [
        ("versions", ", ".join(one.versions) or "(not said)", ", ".join(other.versions) or "(not said)"),
        ("answered", f"{one.answered:,}", f"{other.answered:,}"),
    ]
    if one.late or other.late:
        rows.append((f"of these {AFTER}", f"{one.late:,}", f"{other.late:,}"))
    if one.p50_ms is not None or other.p50_ms is not None:
        rows.append(("p50", _ms(one.p50_ms), _ms(other.p50_ms)))
        rows.append(("p99", _ms(one.p99_ms), _ms(other.p99_ms)))
        rows.append(("answered after the deadline", f"{one.beyond_deadline:,}", f"{other.beyond_deadline:,}"))
    if one.missing or other.missing:
        rows.append(("no answer to compare", _missing(one), _missing(other)))
    return rows


def strata(found: Comparison) -> list[Cells]:
    """Strata of differing requests: name, how many, looked at, each stands for."""
    return [(one.name, f"{one.size:,}", f"{one.drawn:,}", f"{one.weight:.4g}") for one in found.strata]


def strata_explained(found: Comparison) -> str:
    """What strata are by."""
    furthest = "of the label where they are furthest apart"
    if found.strata_by == "quantiles":
        of = f"by the distance of the two quantiles {furthest} (a quantile is the share of that model's own scores of "
        of += "the label that are lower, from 0 to 1)"
    else:
        of = f"by the distance of the two scores {furthest}"
    return (
        f"A sample of the differing requests, drawn in strata: by whether the best label is the same, and {of}. More "
        "are drawn where more is at stake; each stands for so many others as the last column says."
    )


STRATA_HEAD: Cells = ("differing requests", "there are", "in the sample", "each stands for")


def groups(found: Comparison) -> list[Cells]:
    """Cohorts: tag and value, requests, almost identical, upper limit."""
    return [
        (
            f"{one.tag}={one.value}" if one.value else f"(without {one.tag})",
            f"{one.compared:,}",
            percent(one.almost, one.compared),
            exact(one.upper),
        )
        for one in found.groups
    ]


GROUPS_HEAD: Cells = ("cohort", "requests", "almost identical", "at most different")


def truth(found: Comparison) -> list[str]:
    """What labels say of the two."""
    lines = []
    if found.paired is not None:
        one = found.paired
        lines.append(
            f"Of {one.labelled:,} labelled requests both are right in {one.both:,}, only {found.one.name} in "
            f"{one.only_one:,}, only {found.other.name} in {one.only_other:,} "
            f"(McNemar's exact test: p = {one.p_value:.3g})."
        )
    if found.gain is not None:
        gain = found.gain.estimate
        flag = "" if found.gain.by == "truth" else f" By {found.gain.by}, not by truth."
        lines.append(
            f"Of the differing requests {found.other.name} gains {100 * gain.mean:+.3g} in 100, "
            f"give or take {100 * 1.96 * gain.error:.2g} (estimated from {gain.of:,} of the sample).{flag}"
        )
    for drawn_ in found.always:
        lines.append(
            f"The schedule draws by lot. Had {drawn_.model} always been chosen, {100 * drawn_.value:.1f} % of the "
            f"answers would have been right, give or take {100 * 1.96 * drawn_.error:.2g} ({drawn_.chosen:,} of "
            f"{drawn_.of:,} labelled requests were its own)."
        )
    return lines


def cascade(found: Comparison) -> list[Cells]:
    """What each stage finds: stage, alone, adds, alone after, adds after; the whole at the end."""
    one = found.cascade
    if one is None:
        return []
    rows: list[Cells] = [
        (
            old.stage if old.stage == new.stage else f"{old.stage} / {new.stage}",
            share(old.alone),
            share(old.adds),
            share(new.alone),
            share(new.adds),
        )
        for old, new in zip(one.before.links, one.after.links, strict=True)
    ]
    return [*rows, ("the whole", "", share(one.before.whole), "", share(one.after.whole))]


CASCADE_HEAD: Cells = ("stage", "alone", "adds", "alone, new", "adds, new")


def standing(found: Sequence[Standing]) -> list[Cells]:
    """A model over time: against, what, now, then, difference."""
    rows: list[Cells] = []
    for one in found:
        beside = f"{one.against} ({one.beside})" if one.beside else one.against
        if one.why_not:
            rows.append((beside, one.what, "", "", one.why_not))
            continue
        between = "" if one.low is None or one.high is None else f"{100 * one.low:.3g} to {100 * one.high:.3g}"
        told = between if one.difference is None else f"{100 * one.difference:+.3g} points ({between})"
        rows.append((beside, one.what, _share(one.now), _share(one.then), told))
    return rows


STANDING_HEAD: Cells = ("against", "share that is", "now", "then", "difference, 95 % interval")


def advice(found: Comparison) -> str:
    """The recommendation with its reasons, in a sentence."""
    said = _ADVICE[found.recommendation]
    return f"{found.recommendation.upper()} {found.other.name}. {said}: {'; '.join(found.reasons)}."


def notes(found: Comparison) -> list[str]:
    """What a reader should know."""
    lines = list(found.notes)
    if found.mixed_inputs:
        ids = ", ".join(found.mixed_ids)
        lines.append(f"{found.mixed_inputs:,} rows were refused: the same request with another input ({ids}).")
    if found.duplicates:
        lines.append(f"{found.duplicates:,} rows were there twice and count once.")
    if found.labels_left_out:
        lines.append(f"{found.labels_left_out:,} rarer labels are not told one by one.")
    if found.agreement.by == "scores" and any(_rescaled(one) for one in found.labels):
        lines.append("Scores of the two are on different scales; --quantiles compares where requests stand instead.")
    for one in found.labels:
        if one.not_given:
            lines.append(f"The score of {one.label} was not told in {one.not_given:,} requests and counts as 0 there.")
    return lines


def drawn(one: Drawn) -> str:
    """One differing request in a line."""
    truth_ = f", in truth {one.truth}" if one.truth else ""
    return f"{said(one.one, one.one_score)} / {said(one.other, one.other_score)}{truth_}"


def said(label: str, score: float | None) -> str:
    """A label with its score."""
    return "nothing" if score is None else f"{label} {score:.3f}"


def moment(at: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


def percent(count: int, of: int) -> str:
    """With two decimals, never rounded up to 100."""
    if not of:
        return ""
    return "100 %" if count == of else f"{min(100 * count / of, 99.99):.2f} %"


def share(value: float) -> str:
    """A share to the tenth of a percent."""
    return f"{100 * value:.1f} %"


def _share(value: float | None) -> str:
    return "" if value is None else share(value)


def exact(value: float) -> str:
    """A small share with as many digits as it needs."""
    return f"{100 * value:.4g} %"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.4g} ms"


def _missing(side: Side) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in side.missing.items()) or "0"
