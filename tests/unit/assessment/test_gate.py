"""Rules as data, judged."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Malformed
from roost_models.assessment.gate import Gate, accepted, judge, parse_gate
from roost_models.assessment.report import (
    Accuracy,
    Agreement,
    Assessment,
    Fault,
    Labelled,
    Memory,
    Period,
    Ratios,
    Side,
)
from roost_models.assessment.tally import share
from roost_models.rollout.document import BundleRef

REF = BundleRef(name="hen", version="2", digest="a" * 64)


def report(**fields: Any) -> Assessment:
    known: dict[str, Any] = {"candidate_side": Side(answered=100)}
    return Assessment(
        accepted=False, task="nest", candidate=REF, made_at_ms=1, period=Period(archive="x"), **{**known, **fields}
    )


def accuracy(mine: int, other: int, of: int) -> Accuracy:
    return Accuracy(candidate=share(mine, of), champion=share(other, of))


def labelled(overall: Accuracy, **by_label: Accuracy) -> Labelled:
    return Labelled(source="x", overall=overall, by_label=by_label)


def agreement(upper: float, compared: int = 1000) -> Agreement:
    return Agreement(
        compared=compared, identical=0, almost=0, same_label=0, tolerance=0.05, risk=upper / 2, upper=upper
    )


RULES = [
    (Gate(min_compared=100), {}, "pass"),
    (Gate(min_compared=101), {}, "not-enough-data"),
    (Gate(min_labelled=1), {}, "not-enough-data"),
    (Gate(min_labelled=10), {"labelled": labelled(accuracy(1, 1, 10))}, "pass"),
    (Gate(min_accuracy=0.8), {"labelled": labelled(accuracy(8, 10, 10))}, "pass"),
    (Gate(min_accuracy=0.81), {"labelled": labelled(accuracy(8, 10, 10))}, "fail"),
    (Gate(min_accuracy=0.1), {}, "not-enough-data"),
    (Gate(max_drop=0.1), {"labelled": labelled(accuracy(80, 90, 100))}, "pass"),
    (Gate(max_drop=0.05), {"labelled": labelled(accuracy(95, 100, 100))}, "pass"),
    (Gate(max_drop=0.09), {"labelled": labelled(accuracy(80, 90, 100))}, "fail"),
    (Gate(max_drop=0.0), {"labelled": labelled(accuracy(95, 90, 100))}, "pass"),
    (Gate(max_drop=0.0), {"labelled": labelled(Accuracy(candidate=share(9, 10)))}, "not-enough-data"),
    (
        Gate(max_drop_by_label=0.1),
        {"labelled": labelled(accuracy(1, 1, 1), egg=accuracy(0, 19, 19))},
        "not-enough-data",
    ),
    (Gate(max_drop_by_label=0.1), {"labelled": labelled(accuracy(1, 1, 1), egg=accuracy(0, 20, 20))}, "fail"),
    (Gate(max_drop_by_label=0.1), {"labelled": labelled(accuracy(1, 1, 1), egg=accuracy(20, 20, 20))}, "pass"),
    (Gate(max_risk=0.1), {"agreement": agreement(0.1)}, "pass"),
    (Gate(max_risk=0.1), {"agreement": agreement(0.11)}, "fail"),
    (Gate(max_risk=0.1, risk_share=0.5), {"agreement": agreement(0.2)}, "pass"),
    (Gate(max_risk=0.1), {"agreement": agreement(1.0, compared=0)}, "not-enough-data"),
    (Gate(max_risk=0.1), {}, "not-enough-data"),
    (Gate(max_latency_ratio=1.5), {"ratios": Ratios(p50=1.5)}, "pass"),
    (Gate(max_latency_ratio=1.5), {"ratios": Ratios(p50=1.51)}, "fail"),
    (Gate(max_p99_ratio=2), {"ratios": Ratios(p99=2.1)}, "fail"),
    (Gate(max_p99_ratio=2), {}, "not-enough-data"),
    (Gate(max_memory_mb=50), {"candidate_side": Side(memory=Memory(peak_rss_mb=51, pss_mb=1))}, "fail"),
    (Gate(max_memory_mb=50), {"candidate_side": Side(memory=Memory(peak_rss_mb=50, pss_mb=1))}, "pass"),
    (Gate(max_memory_ratio=1), {"ratios": Ratios(memory=1.1)}, "fail"),
    (Gate(max_failures=0), {"candidate_side": Side(answered=9, failures={"failed": 1})}, "fail"),
    (Gate(max_failures=1), {"candidate_side": Side(answered=9, failures={"failed": 1})}, "pass"),
]


@pytest.mark.parametrize(("gate", "fields", "outcome"), RULES)
def test_a_rule_passes_fails_or_says_that_it_knows_too_little(gate: Gate, fields: Any, outcome: str) -> None:
    rules = judge(gate, report(**fields))
    assert [rule.outcome for rule in rules] == ["pass", outcome]
    assert accepted(rules) == (outcome == "pass")


def test_too_little_data_lets_pass_only_where_the_gate_excuses_it() -> None:
    gate = Gate(min_labelled=5, max_risk=0.1, not_enough_is_no_hindrance=["min_labelled"])
    rules = judge(gate, report())
    assert [(rule.name, rule.lets_pass) for rule in rules[1:]] == [("min_labelled", True), ("max_risk", False)]


def test_an_excuse_for_too_little_data_excuses_no_failure() -> None:
    gate = Gate(max_failures=0, not_enough_is_no_hindrance=["max_failures"])
    assert not accepted(judge(gate, report(candidate_side=Side(failures={"failed": 1}))))


def test_an_evaluation_that_ended_early_is_refused_even_by_an_empty_gate() -> None:
    fault = Fault(who="candidate", reason="hung", detail="It did not come back.")
    rules = judge(Gate(), report(fault=fault))
    assert not accepted(rules)
    assert "did not come back" in rules[0].sentence


def test_every_label_that_got_worse_is_named() -> None:
    worse = {name: accuracy(10, 20, 20) for name in ("egg", "jay")}
    found = judge(Gate(max_drop_by_label=0.1), report(labelled=labelled(accuracy(20, 40, 40), **worse)))
    assert ["'egg'" in found[1].sentence, "'jay'" in found[2].sentence] == [True, True]


def test_the_shipped_gate_can_be_read_and_judges() -> None:
    text = resources.files("roost_models.assessment").joinpath("default_gate.toml").read_text()
    gate = parse_gate(text)
    assert gate.max_failures == 0
    assert not accepted(judge(gate, report()))


def test_the_first_models_gate_that_the_shipped_one_describes_is_one() -> None:
    text = resources.files("roost_models.assessment").joinpath("default_gate.toml").read_text()
    gate = parse_gate(text.replace("# not_enough", "not_enough"))
    assert "max_risk" in gate.not_enough_is_no_hindrance


@pytest.mark.parametrize(
    "text",
    [
        "[gate]\nmax_dropp = 0.1",
        "[gate]\nmax_drop = 1.5",
        "[gate]\nmin_labelled = -1",
        "[gate]\nrisk_share = 0",
        '[gate]\nnot_enough_is_no_hindrance = ["max_dropp"]',
        "max_drop = 0.1",
        "[gate]\n[other]",
        "gate = 3",
        "[gate",
        "",
    ],
)
def test_a_gate_that_is_none_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Malformed, match="Not a gate"):
        parse_gate(text)


def test_the_gate_that_the_documentation_shows_is_one() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert parse_gate(shown).risk_share == 0.02
