"""The gate: rules that a candidate must keep before it is offered to any device, as data (TOML), judged purely.

1. A rule that is not in the gate is not judged; an unknown one is refused, for a misspelt limit is a limit not kept.
2. A rule without enough data fails, unless the gate names it under `not_enough_is_no_hindrance`.
3. An evaluation that ended early (a crash, a hang) fails whatever the rules say.
"""

import tomllib
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_models.assessment.report import Assessment, Outcome, Rule

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Limit: TypeAlias = Annotated[float, Meta(gt=0)]
Least: TypeAlias = Annotated[int, Meta(ge=0)]
_ROUNDING = 1e-12
"""1 - 0.95 is not more than 0.05, whatever a computer says."""


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits; None is "not judged". Shares are from 0 to 1."""

    min_compared: Least | None = None
    """Archived requests that were put to both."""
    min_labelled: Least | None = None
    min_accuracy: Fraction | None = None
    max_drop: Fraction | None = None
    """How much less accurate than the champion it may be, on the same labelled requests."""
    max_drop_by_label: Fraction | None = None
    """The same for each label that has at least `labelled_each` labelled requests."""
    labelled_each: Annotated[int, Meta(ge=1)] = 20
    max_risk: Fraction | None = None
    """Of the upper limit of the risk bound, scaled by `risk_share`."""
    risk_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Share of the requests that it is about to answer (E3): the bound scales with it."""
    max_latency_ratio: Limit | None = None
    """Candidate's p50 to the champion's."""
    max_p99_ratio: Limit | None = None
    max_memory_mb: Limit | None = None
    """Of the largest RSS of a process with this model alone."""
    max_memory_ratio: Limit | None = None
    max_failures: Least | None = None
    """Requests that the candidate could not answer."""
    not_enough_is_no_hindrance: list[str] = field(default_factory=list)
    """Names of rules that let pass when there is not enough data for them."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.not_enough_is_no_hindrance) - set(_JUDGES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no rule of a gate; rules are {', '.join(_JUDGES)}")


def parse_gate(text: str) -> Gate:
    """Read a gate file: a table `[gate]`. Raises `Malformed` with the field and the reason."""
    remedy = "Correct the gate file; `roost evaluate --help` names the shipped one."
    try:
        whole = tomllib.loads(text)
        if set(whole) != {"gate"}:
            raise ValueError("a gate file has one table, [gate]")
        return msgspec.convert(whole["gate"], Gate)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, RecursionError) as error:
        raise Malformed(f"Not a gate: {error}.", remedy) from error


def as_data(gate: Gate) -> dict[str, Any]:
    """The gate as it is kept in a report."""
    return dict(msgspec.to_builtins(gate))


def judge(gate: Gate, report: Assessment) -> list[Rule]:
    """Every rule of the gate, in a fixed order, and first that the evaluation came to its end."""
    rules = [_finished(report)]
    for name, judged in _JUDGES.items():
        if getattr(gate, name) is None:
            continue
        for rule in judged(gate, report):
            excused = rule.outcome == "not-enough-data" and name in gate.not_enough_is_no_hindrance
            rules.append(msgspec.structs.replace(rule, excused=excused))
    return rules


def accepted(rules: list[Rule]) -> bool:
    """Whether all of them let pass."""
    return all(rule.lets_pass for rule in rules)


def _finished(report: Assessment) -> Rule:
    if report.fault is None:
        return Rule(name="finished", outcome="pass", sentence="Both were evaluated to the end.")
    sentence = f"The evaluation ended early: the {report.fault.who}: {report.fault.detail}"
    return Rule(name="finished", outcome="fail", sentence=sentence)


def _at_least(name: str, what: str, measured: float, limit: float) -> Rule:
    outcome: Outcome = "pass" if measured >= limit - _ROUNDING else "fail"
    return Rule(name=name, outcome=outcome, sentence=what, measured=measured, limit=limit)


def _at_most(name: str, what: str, measured: float | None, limit: float) -> Rule:
    if measured is None:
        return Rule(name=name, outcome="not-enough-data", sentence=f"{what}: not known", limit=limit)
    outcome: Outcome = "pass" if measured <= limit + _ROUNDING else "fail"
    return Rule(name=name, outcome=outcome, sentence=what, measured=measured, limit=limit)


def _enough(name: str, what: str, measured: int, limit: int) -> Rule:
    """Too few of something is a lack of data, not a fault of the candidate's."""
    rule = _at_least(name, what, measured, limit)
    return rule if rule.outcome == "pass" else msgspec.structs.replace(rule, outcome="not-enough-data")


def _compared(gate: Gate, report: Assessment) -> list[Rule]:
    compared = report.candidate_side.answered + sum(report.candidate_side.failures.values())
    return [_enough("min_compared", "requests evaluated", compared, gate.min_compared or 0)]


def _labelled(gate: Gate, report: Assessment) -> list[Rule]:
    labelled = 0 if report.labelled is None else report.labelled.overall.candidate.of
    return [_enough("min_labelled", "labelled requests", labelled, gate.min_labelled or 0)]


def _accuracy(gate: Gate, report: Assessment) -> list[Rule]:
    limit = gate.min_accuracy or 0.0
    if report.labelled is None or not report.labelled.overall.candidate.of:
        sentence = "accuracy: nothing is labelled"
        return [Rule(name="min_accuracy", outcome="not-enough-data", sentence=sentence, limit=limit)]
    return [_at_least("min_accuracy", "accuracy", report.labelled.overall.candidate.share, limit)]


def _drop(gate: Gate, report: Assessment) -> list[Rule]:
    drop = None if report.labelled is None else report.labelled.overall.drop
    return [_at_most("max_drop", "less accurate than the champion", drop, gate.max_drop or 0.0)]


def _drop_by_label(gate: Gate, report: Assessment) -> list[Rule]:
    limit, name = gate.max_drop_by_label or 0.0, "max_drop_by_label"
    found = {} if report.labelled is None else report.labelled.by_label
    rules = [
        _at_most(name, f"less accurate where it is {label!r}", accuracy.drop, limit)
        for label, accuracy in found.items()
        if accuracy.candidate.of >= gate.labelled_each and accuracy.drop is not None
    ]
    failed = [rule for rule in rules if rule.outcome == "fail"]
    if failed or not rules:
        return failed or [_at_most(name, f"no label has {gate.labelled_each} labelled requests", None, limit)]
    return [max(rules, key=lambda rule: rule.measured or 0.0)]


def _risk(gate: Gate, report: Assessment) -> list[Rule]:
    upper = None
    if report.agreement is not None and report.agreement.compared:
        upper = report.agreement.upper * gate.risk_share
    return [_at_most("max_risk", f"risk at most, answering {gate.risk_share:.1%}", upper, gate.max_risk or 0.0)]


def _latency(gate: Gate, report: Assessment) -> list[Rule]:
    return [_at_most("max_latency_ratio", "p50 to the champion's", report.ratios.p50, gate.max_latency_ratio or 0.0)]


def _p99(gate: Gate, report: Assessment) -> list[Rule]:
    return [_at_most("max_p99_ratio", "p99 to the champion's", report.ratios.p99, gate.max_p99_ratio or 0.0)]


def _memory(gate: Gate, report: Assessment) -> list[Rule]:
    memory = report.candidate_side.memory
    peak = None if memory is None else memory.peak_rss_mb
    return [_at_most("max_memory_mb", "largest memory in MB", peak, gate.max_memory_mb or 0.0)]


def _memory_ratio(gate: Gate, report: Assessment) -> list[Rule]:
    return [
        _at_most("max_memory_ratio", "memory to the champion's", report.ratios.memory, gate.max_memory_ratio or 0.0)
    ]


def _failures(gate: Gate, report: Assessment) -> list[Rule]:
    failed = sum(report.candidate_side.failures.values())
    rule = _at_most("max_failures", "requests it could not answer", failed, gate.max_failures or 0)
    if rule.outcome == "fail" and report.candidate_side.first_failure:
        return [msgspec.structs.replace(rule, sentence=f"{rule.sentence} ({report.candidate_side.first_failure})")]
    return [rule]


_JUDGES: dict[str, Callable[[Gate, Assessment], list[Rule]]] = {
    "min_compared": _compared,
    "min_labelled": _labelled,
    "min_accuracy": _accuracy,
    "max_drop": _drop,
    "max_drop_by_label": _drop_by_label,
    "max_risk": _risk,
    "max_latency_ratio": _latency,
    "max_p99_ratio": _p99,
    "max_memory_mb": _memory,
    "max_memory_ratio": _memory_ratio,
    "max_failures": _failures,
}
