"""The group of slow answers: how many there are, how slow, and none where there is none (requirement H3)."""

import pytest
from faces_samples import durations, histogram

from roost_rendezvous.analytics.faces.slow import slow_against, slow_group
from roost_rendezvous.analytics.faces.values import Histogram


@pytest.mark.parametrize("seed", [1, 2])
def test_one_per_cent_behind_a_valley_is_found_and_counted(seed: int) -> None:
    found = slow_group(histogram(durations(seed, 20_000, spread=0.15, slow=0.01)))
    assert found is not None
    assert found.share == pytest.approx(0.01, abs=0.002)
    assert found.times == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("spread", [0.15, 0.3])
def test_a_shoulder_of_one_per_cent_is_counted_beside_what_is_usual(spread: float) -> None:
    usual = histogram(durations(3, 20_000, spread=spread))
    found = slow_against(histogram(durations(4, 20_000, spread=spread, slow=0.01)), usual)
    assert found is not None
    assert found.share == pytest.approx(0.01, abs=0.0025)
    assert found.times == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_where_nobody_is_slow_no_group_is_made_up(seed: int) -> None:
    now = histogram(durations(seed, 3_000, spread=0.25))
    assert slow_group(now) is None
    assert slow_against(now, histogram(durations(seed + 100, 3_000, spread=0.25))) is None


def test_when_everything_is_slower_that_is_no_group() -> None:
    usual = histogram(durations(5, 5_000, spread=0.2))
    assert slow_against(histogram([1.4 * one for one in durations(6, 5_000, spread=0.2)]), usual) is None


def test_nothing_gives_nothing() -> None:
    empty = Histogram(edges=(1.0, 2.0), counts=(0.0,))
    assert slow_group(empty) is None
    assert slow_against(empty, empty) is None
