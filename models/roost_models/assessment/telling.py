"""A report in words and short tables, for the terminal and for the page. Pure."""

from datetime import UTC, datetime

from roost_models.assessment.report import Accuracy, Assessment, Differing, Rule, Said, Share, Side

Row = tuple[str, ...]


def verdict(report: Assessment) -> str:
    """The first line."""
    name = f"{report.candidate.name} {report.candidate.version}"
    if report.fault is not None:
        return f"{name} is refused: the {report.fault.who}: {report.fault.detail}"
    failed = [rule for rule in report.rules if not rule.lets_pass]
    if report.accepted:
        return f"{name} is accepted: it keeps every rule of the gate."
    unknown = sum(rule.outcome == "not-enough-data" for rule in failed)
    wanting = f" ({unknown} for want of data)" if unknown else ""
    return f"{name} is refused: {len(failed)} of {len(report.rules)} rules of the gate not kept{wanting}."


def subject(report: Assessment) -> str:
    """What was compared, on what."""
    champion = "no champion" if report.champion is None else f"{report.champion.name} {report.champion.version}"
    period = report.period
    between = ""
    if period.first_ms is not None and period.last_ms is not None:
        between = f", {moment(period.first_ms)} to {moment(period.last_ms)}"
    return (
        f"Task {report.task} against {champion}: {period.requests:,} archived requests of "
        f"{len(period.nodes)} device{'' if len(period.nodes) == 1 else 's'}{between}."
    )


def rules(report: Assessment) -> list[Row]:
    """Every rule: outcome, name, what it is about, measured, limit."""
    return [
        (outcome(rule), rule.name, rule.sentence, figure(rule.measured), figure(rule.limit)) for rule in report.rules
    ]


def outcome(rule: Rule) -> str:
    """In a word or two."""
    words = {"pass": "pass", "fail": "FAIL", "not-enough-data": "too little"}[rule.outcome]
    return f"{words} (excused)" if rule.excused else words


def agreement(report: Assessment) -> list[str]:
    """Identical share and what it bounds."""
    found = report.agreement
    if found is None:
        return []
    if not found.compared:
        return ["Nothing was compared, so nothing bounds the risk."]
    lines = [
        f"{found.almost:,} of {found.compared:,} answers are almost identical "
        f"({percent(found.almost, found.compared)}): the same best label, "
        f"no score more than {found.tolerance:g} apart.",
        f"To the bit: {found.identical:,}. The same best label: {found.same_label:,}.",
        f"At most {exact(found.risk)} of all answers can be worse; upper 95 % limit {exact(found.upper)}.",
    ]
    scaled = ", ".join(f"{exact(one.upper)} at {one.share:.0%}" for one in found.scaled)
    return [*lines, f"While it answers a share only: {scaled}."]


def accuracies(report: Assessment) -> list[Row]:
    """Overall, by label, by site: what, candidate, champion, how many. Empty where nothing is labelled."""
    found = report.labelled
    if found is None or not found.overall.candidate.of:
        return []
    rows = [_accuracy_row("all", found.overall)]
    rows += [_accuracy_row(f"label {name}", one) for name, one in found.by_label.items()]
    return rows + [_accuracy_row(f"site {name or '(unknown)'}", one) for name, one in found.by_site.items()]


def paired(report: Assessment) -> str:
    """The paired comparison, in a sentence."""
    found = None if report.labelled is None else report.labelled.paired
    if found is None:
        return ""
    return (
        f"Only the candidate is right in {found.only_candidate_right}, only the champion in "
        f"{found.only_champion_right} (McNemar's exact test: p = {found.p_value:.3g})."
    )


def sides(report: Assessment) -> list[Row]:
    """Speed, memory, failures: what, candidate, champion, ratio."""
    mine, other = report.candidate_side, report.champion_side
    ratios = report.ratios
    return [
        ("answered", f"{mine.answered:,}", "" if other is None else f"{other.answered:,}", ""),
        ("could not answer", _failures(mine), _failures(other), ""),
        ("p50", _ms(mine, p99=False), _ms(other, p99=False), figure(ratios.p50)),
        ("p99", _ms(mine, p99=True), _ms(other, p99=True), figure(ratios.p99)),
        ("largest memory", _memory(mine), _memory(other), figure(ratios.memory)),
        ("runtime", mine.runtime, "" if other is None else other.runtime, ""),
    ]


def cautions(report: Assessment) -> list[str]:
    """What a reader must know before believing any figure."""
    return [*report.remarks, *_repeated(report)]


def notes(report: Assessment) -> list[str]:
    """All the rest."""
    lines: list[str] = []
    skipped = report.period.skipped
    if skipped:
        lines.append("Not compared: " + ", ".join(f"{count:,} {reason}" for reason, count in skipped.items()) + ".")
    other = report.champion_side
    if other is not None and other.reused:
        lines.append(f"{other.reused:,} answers of the champion were taken from the archive, not evaluated again.")
    if other is not None and other.archived_before:
        lines.append(
            f"The champion repeated {other.reproduced:,} of {other.archived_before:,} archived answers to the bit."
        )
    if report.device is not None:
        estimate = report.device
        lines.append(
            f"Estimate for a device ({estimate.how}; factor {estimate.factor:.3g}): p50 "
            f"{estimate.candidate_p50_ms:.3g} ms, p99 {estimate.candidate_p99_ms:.3g} ms. "
            "Measured figures come from its shadow phase."
        )
    if report.seconds > 0:
        lines.append(
            f"{report.period.requests / report.seconds:,.0f} requests/s on {report.where}, "
            f"{report.workers} worker{'' if report.workers == 1 else 's'}, {report.seconds:.1f} s."
        )
    return lines


def _repeated(report: Assessment) -> list[str]:
    """Intervals take requests as independent of each other; the same picture asked again is not."""
    found = report.labelled
    if found is None or not found.pictures or found.pictures >= found.overall.candidate.of:
        return []
    return [
        f"The {found.overall.candidate.of:,} labelled requests show {found.pictures:,} different pictures: "
        "the intervals and p, which count requests, are narrower than so few pictures allow."
    ]


def differing(one: Differing) -> str:
    """One request in a line."""
    truth = f", in truth {one.truth}" if one.truth else ""
    return f"{said(one.candidate)} instead of {said(one.champion)}{truth}"


def said(one: Said) -> str:
    """A label with its score, or why there is none."""
    return f"nothing ({one.failure})" if one.failure else f"{one.label} {one.score:.3f}"


def moment(at_ms: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def percent(count: int, of: int) -> str:
    """With two decimals, never rounded up to 100."""
    share = count / of
    return "100 %" if count == of else f"{min(100 * share, 99.99):.2f} %"


def exact(share: float) -> str:
    """A small share with as many digits as it needs."""
    return f"{100 * share:.4g} %"


def figure(value: float | None) -> str:
    """Four digits at most; empty for none."""
    return "" if value is None else f"{value:.4g}"


def interval(one: Share) -> str:
    """`97.1 % (93.4–98.8)`."""
    return f"{100 * one.share:.1f} % ({100 * one.low:.1f}–{100 * one.high:.1f})"


def _accuracy_row(what: str, one: Accuracy) -> Row:
    other = "" if one.champion is None else interval(one.champion)
    return (what, interval(one.candidate), other, f"{one.candidate.of:,}")


def _failures(side: Side | None) -> str:
    if side is None:
        return ""
    return ", ".join(f"{count:,} {reason}" for reason, count in side.failures.items()) or "0"


def _ms(side: Side | None, *, p99: bool) -> str:
    if side is None or side.latency is None:
        return ""
    return f"{side.latency.p99_ms if p99 else side.latency.p50_ms:.4g} ms"


def _memory(side: Side | None) -> str:
    return "" if side is None or side.memory is None else f"{side.memory.peak_rss_mb:.0f} MB"
