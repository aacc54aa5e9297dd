"""Levels from the stream's own past."""

import json
import random

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.history import HOUR, WEEK, HistoryPolicy, OwnHistory


def lived(weeks: int, seed: int) -> OwnHistory:
    draw, history = random.Random(seed), OwnHistory()
    for hour in range(weeks * 168):
        history.add(hour * HOUR, draw.expovariate(0.5))
    return history


def test_without_a_week_there_is_no_level_and_the_reason_is_told():
    history = OwnHistory()
    for hour in range(48):
        history.add(hour * HOUR, 1.0)
    assert history.level(1.0) is None
    assert history.why_not == "not enough history: 1.8 of 7 days"


@pytest.mark.parametrize("per_week", [0.5, 1.0, 3.0])
def test_fresh_weeks_pass_the_level_as_often_as_the_budget_says(per_week: float):
    levels = [lived(8, seed).level(per_week) or 0.0 for seed in range(8)]
    draw, passed, weeks = random.Random(2), 0.0, 200
    for _ in range(weeks * 28):
        largest = max(draw.expovariate(0.5) for _ in range(6))
        passed += sum(largest >= level for level in levels) / len(levels)
    assert 0.5 <= passed / weeks / per_week <= 1.5


def test_a_budget_beyond_the_history_lies_above_all_of_it_but_not_by_much():
    history = lived(2, 3)
    largest, rare = history.level(0.5), history.level(0.05)
    assert largest is not None
    assert rare is not None
    assert largest < rare < 3 * largest


def test_many_strange_moments_in_one_block_count_once():
    calm, clumped = lived(4, 4), lived(4, 4)
    start = 4 * WEEK
    for minute in range(300):
        clumped.add(start + minute * HOUR // 60, 100.0)
    clumped.add(start + 6 * HOUR, 0.0)
    before, after = calm.level(2.0), clumped.level(2.0)
    assert before is not None
    assert after is not None
    assert after < 2 * before


def test_old_blocks_are_forgotten():
    history = OwnHistory(HistoryPolicy(keep_blocks=40))
    for block in range(41):
        history.add(block * 6 * HOUR, 1000.0)
    for block in range(41, 90):
        history.add(block * 6 * HOUR, 1.0)
    assert history.blocks == 40
    assert history.level(1.0) == pytest.approx(1.0)


def test_a_restored_history_has_the_same_level():
    history, twin = lived(3, 5), OwnHistory()
    twin.restore(json.loads(json.dumps(history.snapshot())))
    assert twin.level(1.0) == pytest.approx(history.level(1.0), abs=1e-3)


@pytest.mark.parametrize("wrong", [{"block_ns": 0}, {"least_blocks": 1}, {"keep_blocks": 10}, {"keep_blocks": 10_000}])
def test_impossible_bounds_are_refused(wrong: dict[str, int]):
    with pytest.raises(Misuse):
        HistoryPolicy(**wrong)
