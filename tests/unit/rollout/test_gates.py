"""One gate at a time: when it passes, when it waits, when it fails, and for whom."""

from typing import Any

import pytest
from story import POLICY, order

from roost_models.rollout.evidence import Counts, Evidence
from roost_models.rollout.gates import ALL, SERVING, Gate, Verdict, judge
from roost_models.rollout.policy import Baseline

STEPS = order().plan.steps
SHADOW = STEPS[0]
SERVE = next(step for step in STEPS if step.served >= 10)
EXPECTED = Baseline(previous=0.97, canary=0.93)


def device(number: int, **changes: Any) -> Evidence:
    counts = Counts(since=1, requests=2000, answered=1999, previous=(1940, 1999), canary=(1860, 1999))
    values: dict[str, Any] = {
        "node": f"coop-{number}",
        "tags": {"site": f"farm-{number % 3}"},
        "touched": True,
        "installed": True,
        "failed": False,
        "serving": False,
        "quiet": False,
        "counts": counts,
        "p99_ms": 80.0,
        "previous_p99_ms": 80.0,
    }
    return Evidence(**{**values, **changes})


def gate(found: list[Gate], name: str, group: str = ALL) -> Gate:
    return next(one for one in found if (one.name, one.group) == (name, group))


def fleet(bad: int, of: int, **changes: Any) -> list[Evidence]:
    return [device(number, **(changes if number < bad else {})) for number in range(of)]


def test_a_good_bundle_passes_every_gate() -> None:
    found = judge(fleet(0, 20), SHADOW, POLICY, EXPECTED)
    assert {one.verdict for one in found} == {"pass"}
    assert {one.group for one in found} == {ALL, "site = farm-0", "site = farm-1", "site = farm-2"}


@pytest.mark.parametrize(
    ("name", "changes", "few", "many"),
    [
        ("install", {"failed": True, "installed": False}, "wait", "fail"),
        ("quiet", {"quiet": True}, "wait", "fail"),
        ("crashes", {"counts": Counts(since=1, requests=2000, answered=1999, restarts=2)}, "wait", "fail"),
        ("alarms", {"counts": Counts(since=1, requests=2000, answered=1999, alarms=1)}, "wait", "fail"),
    ],
)
def test_trouble_on_one_device_is_borne_on_some_is_suspicious_on_many_fails(
    name: str, changes: dict[str, Any], few: Verdict, many: Verdict
) -> None:
    verdicts = [gate(judge(fleet(bad, 20, **changes), SHADOW, POLICY, EXPECTED), name) for bad in (0, 1, 4, 12)]
    assert [one.verdict for one in verdicts] == ["pass", "pass", few, many]
    assert [one.suspicious for one in verdicts] == [False, False, True, False]


@pytest.mark.parametrize("name", ["canary", "previous", "answers"])
def test_a_share_that_chance_does_not_explain_fails(name: str) -> None:
    worse = {
        "canary": Counts(since=1, requests=2000, answered=1999, previous=(1940, 1999), canary=(1700, 1999)),
        "previous": Counts(since=1, requests=2000, answered=1999, previous=(1780, 1999), canary=(1860, 1999)),
        "answers": Counts(since=1, requests=2000, answered=1700, previous=(1650, 1700), canary=(1581, 1700)),
    }
    found = judge(fleet(20, 20, counts=worse[name]), SHADOW, POLICY, EXPECTED)
    assert [one.name for one in found if one.verdict == "fail" and one.group == ALL] == [name]


def test_monitors_that_know_too_little_of_the_model_are_no_pass_and_are_not_waited_for() -> None:
    silent = gate(judge(fleet(20, 20, alarms_able=False), SHADOW, POLICY, EXPECTED), "alarms")
    assert (silent.verdict, silent.value, silent.of) == ("not judged", None, 0)
    assert silent.text.startswith("not enough history: no monitor of 20 devices knows this model")
    some = gate(judge(fleet(15, 20, alarms_able=False), SHADOW, POLICY, EXPECTED), "alarms")
    assert (some.verdict, some.of) == ("pass", 5)
    assert some.text.endswith("not enough history on 15 more")


def test_an_alarm_counts_whoever_says_that_there_can_be_none() -> None:
    counts = Counts(since=1, requests=2000, answered=1999, alarms=1)
    found = judge(fleet(20, 20, alarms_able=False, counts=counts), SHADOW, POLICY, EXPECTED)
    assert gate(found, "alarms").verdict == "fail"


def test_too_few_requests_wait() -> None:
    few = Counts(since=1, requests=5, answered=5, previous=(5, 5), canary=(5, 5))
    found = judge(fleet(20, 20, counts=few), SHADOW, POLICY, EXPECTED)
    assert gate(found, "previous").verdict == "wait"
    assert not gate(found, "previous").suspicious


def test_nobody_at_all_waits() -> None:
    found = judge([], SHADOW, POLICY, EXPECTED)
    assert {gate(found, name).verdict for name in ("install", "previous", "answers")} == {"wait"}


def test_the_request_that_is_still_under_way_is_not_counted_as_lost() -> None:
    one_open = Counts(since=1, requests=10, answered=9, previous=(9, 9), canary=(9, 9))
    found = judge(fleet(20, 20, counts=one_open), SHADOW, POLICY, EXPECTED)
    assert gate(found, "answers").value == 1.0


def test_slow_on_every_device_fails_and_unknown_times_are_not_judged() -> None:
    assert gate(judge(fleet(20, 20, p99_ms=240.0), SHADOW, POLICY, EXPECTED), "latency").verdict == "fail"
    unknown = gate(judge(fleet(20, 20, p99_ms=None), SHADOW, POLICY, EXPECTED), "latency")
    assert unknown.verdict == "not judged"


def test_a_model_of_microseconds_is_not_slow_for_taking_a_few_more() -> None:
    blink = fleet(20, 20, p99_ms=0.3, previous_p99_ms=0.1)
    assert gate(judge(blink, SHADOW, POLICY, EXPECTED), "latency").verdict == "pass"
    longer = fleet(20, 20, p99_ms=15.0, previous_p99_ms=0.1)
    assert gate(judge(longer, SHADOW, POLICY, EXPECTED), "latency").verdict == "fail"


def test_in_a_serving_step_it_is_those_that_serve_who_must_be_enough() -> None:
    found = judge(fleet(0, 60), SERVE, POLICY, EXPECTED)
    assert gate(found, "previous").verdict == "pass"
    assert gate(found, "previous", SERVING).verdict == "wait"
    found = judge(fleet(30, 60, serving=True), SERVE, POLICY, EXPECTED)
    assert gate(found, "previous", SERVING).verdict == "pass"


def test_a_group_of_a_few_devices_fails_a_step_that_all_together_would_pass() -> None:
    wrong = Counts(since=1, requests=2000, answered=1999, previous=(1000, 1999), canary=(1000, 1999))
    many = [device(number, tags={"camera": "imx219"}) for number in range(300)]
    few = [device(300 + number, tags={"camera": "noir"}, counts=wrong) for number in range(4)]
    found = judge([*many, *few], SHADOW, POLICY, EXPECTED)
    assert gate(found, "previous").verdict == "pass"
    assert gate(found, "previous", "camera = noir").verdict == "fail"


def test_when_untouched_devices_are_quiet_too_it_is_the_link_and_the_step_waits() -> None:
    quiet = fleet(20, 20, quiet=True)
    assert gate(judge(quiet, SHADOW, POLICY, EXPECTED, (40, 80)), "quiet").verdict == "wait"
    assert gate(judge(quiet, SHADOW, POLICY, EXPECTED, (0, 80)), "quiet").verdict == "fail"


def test_no_more_groups_are_judged_than_the_policy_allows() -> None:
    many = [device(number, tags={"shed": f"s{number // 3}"}) for number in range(300)]
    found = judge(many, SHADOW, POLICY, EXPECTED)
    assert len({one.group for one in found}) == 1 + POLICY.strata


def test_five_misses_of_a_few_requests_are_no_proof_however_many_standard_errors_they_are() -> None:
    some = Counts(since=1, requests=8, answered=8, previous=(6, 8), canary=(8, 8))
    few = [device(300 + number, tags={"camera": "noir"}, counts=some) for number in range(3)]
    many = [device(number, tags={"camera": "imx219"}) for number in range(300)]
    found = gate(judge([*many, *few], SHADOW, POLICY, EXPECTED), "previous", "camera = noir")
    assert found.value is not None
    assert found.value < found.limit
    assert found.verdict == "pass"
