"""Steps and dwell times, and the figures behind them."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.errors import Misuse
from roost_broker.shares import in_share
from roost_models.rollout import planning, proportions
from roost_models.rollout.policy import Baseline, Policy
from roost_rendezvous.analytics import binomial

EXPECTED = Baseline(canary=0.93, previous=0.97)

fleets = st.integers(1, 5000)
rates = st.floats(0.1, 1e6)
shares = st.floats(0.5, 1.0)


@settings(max_examples=60)
@given(fleets, rates, shares, st.floats(0.02, 0.2))
def test_shares_only_grow_and_who_serves_is_in_shadow_and_the_end_is_everybody(
    devices: int, rate: float, share: float, effect: float
) -> None:
    plan = planning.make(
        Policy(effect=effect), Baseline(previous=share), devices=devices, requests_per_day=rate, rollout_id="r"
    )
    steps = plan.steps
    assert (steps[-1].shadow, steps[-1].serving) == (1.0, 1.0)
    for before, after in itertools.pairwise(steps):
        assert before.shadow <= after.shadow
        assert before.serving <= after.serving
        assert (before.devices, before.served) < (after.devices, after.served)
    assert all(step.serving <= step.shadow and step.served <= step.devices for step in steps)
    assert all(plan.policy.min_dwell_s <= step.dwell_s <= plan.policy.max_dwell_s for step in steps)


@settings(max_examples=60)
@given(fleets)
def test_before_devices_that_were_served_have_passed_a_gate_two_in_a_hundred_are_served_at_most(devices: int) -> None:
    plan = planning.make(Policy(), EXPECTED, devices=devices, requests_per_day=500)
    first = next(step for step in plan.steps if step.served)
    last_guarded = [step for step in plan.steps if step.served and step.served <= max(1, int(devices * 0.02))]
    assert first in last_guarded
    assert plan.ever_served <= max(0.02, 1 / devices)


def test_with_the_names_of_the_devices_a_step_holds_exactly_so_many_of_them() -> None:
    nodes = [f"coop-{n}" for n in range(1000)]
    plan = planning.make(Policy(), EXPECTED, devices=1000, requests_per_day=500, rollout_id="breeds-7", nodes=nodes)
    for step in plan.steps:
        assert sum(in_share("breeds-7", node, step.serving) for node in nodes) == step.served
        assert sum(in_share("breeds-7", node, step.shadow) for node in nodes) == step.devices


def test_without_names_a_guarded_share_hardly_ever_holds_more_devices_than_it_may() -> None:
    over = 0
    for fleet in range(400):
        plan = planning.make(Policy(), EXPECTED, devices=500, requests_per_day=500, rollout_id=f"r{fleet}")
        step = [step for step in plan.steps if step.served][1]
        over += sum(in_share(f"r{fleet}", f"coop-{n}", step.serving) for n in range(500)) > 10
    assert over <= 4


def test_a_step_lasts_until_the_effect_would_show() -> None:
    """Steps of a plan, tried: counts are drawn as they would come, and the test of the gate is made."""
    policy, draw = Policy(), random.Random(1)
    plan = planning.make(policy, Baseline(previous=0.97), devices=1000, requests_per_day=2000)
    step = plan.steps[0]
    z = proportions.upper_z(policy.chance)

    def found(share: float) -> float:
        halted = 0
        for _ in range(300):
            pairs = []
            for _ in range(int(step.devices * policy.present)):
                own = min(max(draw.gauss(share, math.sqrt(share * (1 - share) * policy.icc)), 0), 1)
                of = round(step.each)
                mean, spread = of * own, math.sqrt(of * own * (1 - own))
                pairs.append((min(max(round(draw.gauss(mean, spread)), 0), of), of))
            counted = proportions.pooled(pairs, 0.97, policy.icc)
            halted += counted.share < 0.97 - z * counted.error
        return halted / 300

    assert found(0.97) <= 0.01
    assert found(0.92) >= 1 - policy.miss - 0.06


def test_a_share_of_the_devices_bears_that_share_of_the_risk() -> None:
    plan = planning.make(Policy(), Baseline(previous=0.97, risk=0.04), devices=1000, requests_per_day=500)
    assert [step.risk for step in plan.steps] == [0.04 * step.serving for step in plan.steps]
    assert plan.steps[-1].risk == 0.04


def test_more_resemblance_between_requests_needs_more_devices_and_more_time() -> None:
    plans = [planning.make(Policy(icc=icc), EXPECTED, devices=1000, requests_per_day=500) for icc in (0.0, 0.005, 0.02)]
    least = [plan.steps[0].least for plan in plans]
    assert least == sorted(least)
    assert least[0] < least[2]


def test_a_smaller_effect_takes_longer() -> None:
    times = [
        planning.make(
            Policy(effect=effect, max_dwell_s=80 * 86_400), EXPECTED, devices=1000, requests_per_day=500
        ).duration_s
        for effect in (0.1, 0.05, 0.02)
    ]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shadow": (0.5, 0.1)},
        {"shadow": (0.0, 0.1)},
        {"serving": (0.02, 0.5)},
        {"min_dwell_s": 100.0, "max_dwell_s": 10.0},
        {"tolerated": {"install": 0.1}},
        {"tolerated": {"install": 0.0, "crashes": 0.1, "quiet": 0.1, "alarms": 0.1}},
    ],
)
def test_a_policy_that_contradicts_itself_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        Policy(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(("devices", "rate"), [(0, 10.0), (10, 0.0)])
def test_a_fleet_of_nobody_or_without_requests_cannot_be_planned(devices: int, rate: float) -> None:
    with pytest.raises(Misuse):
        planning.make(Policy(), EXPECTED, devices=devices, requests_per_day=rate)


# -- figures


def test_the_sample_size_is_the_one_of_the_textbook() -> None:
    # 0.95 against 0.90, one side, α 5 %, power 90 %, by hand: (1.6449 + 1.2816)² · 0.09 / 0.0025.
    assert proportions.needed(0.95, 0.05, 0.05, 0.1) == pytest.approx(308.3, rel=1e-3)


@given(st.floats(0.3, 0.99), st.floats(0.01, 0.2), st.integers(1, 500), st.floats(0, 0.1))
def test_so_many_requests_from_each_device_are_worth_what_was_asked(
    share: float, effect: float, devices: int, icc: float
) -> None:
    independent = proportions.needed(share, effect, 0.01, 0.1)
    each = proportions.from_each(independent, devices, icc)
    if each is None:
        assert proportions.worth(devices, 1e12, icc) <= independent * (1 + 1e-6)
    else:
        assert proportions.worth(devices, each, icc) >= independent * (1 - 1e-6)


@given(st.integers(1, 300), st.floats(0.001, 0.999), st.data())
def test_the_tail_is_the_sum_of_the_binomial(of: int, share: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    exact = math.fsum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(hits, of + 1))
    assert binomial.at_least(hits, of, share) == pytest.approx(exact, rel=1e-6, abs=1e-12)


def test_devices_that_differ_widely_make_a_share_less_certain() -> None:
    alike = proportions.pooled([(90, 100)] * 10, 0.9, 0.0)
    unlike = proportions.pooled([(100, 100)] * 9 + [(0, 100)], 0.9, 0.0)
    assert alike.share == unlike.share
    assert unlike.error > 3 * alike.error
