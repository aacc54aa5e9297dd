"""Rates that go together."""

import json
import random

import pytest
from made_events import SIGNAL

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.cross import CrossPolicy, CrossRate


def live(watch: CrossRate, causes: int, per_cause: float, draw: random.Random) -> float:
    """Returns the largest surprise."""
    for _ in range(causes):
        watch.cause()
        left = draw.expovariate(1.0)
        while left < per_cause:
            watch.effect()
            left += draw.expovariate(1.0)
    return watch.tick(0).surprise or 0.0


def test_a_doubled_fan_out_is_found_within_60_expected_events_in_most_runs():
    found = 0
    for seed in range(20):
        draw, watch = random.Random(seed), CrossRate(SIGNAL)
        live(watch, 1_500, 1.0, draw)
        found += live(watch, 60, 2.0, draw) >= 5.0
    assert found >= 16


def test_the_usual_ratio_stays_quiet_whatever_the_rate():
    watch, draw = CrossRate(SIGNAL), random.Random(1)
    live(watch, 1_500, 1.0, draw)
    assert live(watch, 3_000, 1.0, draw) < 5.0


def test_effects_that_stop_are_found_although_none_comes():
    watch = CrossRate(SIGNAL, CrossPolicy(per_cause=3.0))
    for _ in range(5):
        watch.cause()
    assert (watch.tick(0).surprise or 0.0) >= 5.0


def test_causes_that_stop_make_no_effects_due():
    watch, draw = CrossRate(SIGNAL), random.Random(2)
    live(watch, 1_500, 1.0, draw)
    watch.tick(0)
    assert (watch.tick(10**18).surprise or 0.0) < 5.0


def test_the_constant_is_learnt_and_until_then_nothing_is_said():
    watch, draw = CrossRate(SIGNAL), random.Random(3)
    live(watch, 50, 4.0, draw)
    assert watch.tick(0).surprise is None
    assert watch.tick(0).why_not.startswith("not enough history: ")
    live(watch, 500, 4.0, draw)
    assert watch.tick(0).normal == pytest.approx(4.0, rel=0.1)


def test_a_change_is_not_learnt_away_while_it_is_strange():
    watch, draw = CrossRate(SIGNAL), random.Random(4)
    live(watch, 1_500, 1.0, draw)
    live(watch, 3_000, 2.0, draw)
    assert watch.tick(0).normal == pytest.approx(1.0, rel=0.15)
    watch.accept()
    live(watch, 1_500, 2.0, draw)
    assert watch.tick(0).normal == pytest.approx(2.0, rel=0.1)


def test_a_restored_watch_goes_on_where_the_other_was():
    watch, twin, draw = CrossRate(SIGNAL), CrossRate(SIGNAL), random.Random(5)
    live(watch, 1_000, 1.0, draw)
    twin.restore(json.loads(json.dumps(watch.snapshot())))
    mine, other = live(watch, 40, 2.0, random.Random(6)), live(twin, 40, 2.0, random.Random(6))
    assert other == pytest.approx(mine, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"per_cause": 0.0}, {"learn_effects": 1}, {"follow": 10.0}])
def test_impossible_policies_are_refused(wrong: dict[str, float]):
    with pytest.raises(Misuse):
        CrossPolicy(**wrong)  # type: ignore[arg-type]  # one key at a time, each of its own type
