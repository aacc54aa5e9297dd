"""What all do together is taken away (open ground: the book adds correlated monitors up)."""

import json

import numpy as np
import pytest
from alarm_world import DAY, MINUTE, TICK

from roost_rendezvous.analytics.alarms.common import Common

ROWS = np.arange(12)
HOUR = 60 * MINUTE


def nines_of(weight: float, ticks: int, rng: np.random.Generator) -> np.ndarray:
    """Log-odds of twelve signals with a common factor of that weight."""
    noise = weight * rng.normal(size=(ticks, 1)) + np.sqrt(1 - weight**2) * rng.normal(size=(ticks, len(ROWS)))
    return 0.788 * noise


def lived(weight: float, seed: int = 1) -> Common:
    common = Common(256, 60 * DAY * TICK, 48 * HOUR)
    for tick, row in enumerate(nines_of(weight, 8 * DAY, np.random.default_rng(seed))):
        common.tick(ROWS, row, ROWS, tick * TICK)
    return common


@pytest.fixture(scope="module")
def correlated() -> dict[str, object]:
    return lived(0.8).snapshot()


def restored(kept: dict[str, object]) -> Common:
    common = Common(256, 60 * DAY * TICK, 48 * HOUR)
    common.restore(json.loads(json.dumps(kept)))
    return common


def test_independent_signals_have_no_common_factor_and_are_left_as_they_are() -> None:
    common = lived(0.0)
    nines = nines_of(0.0, 1, np.random.default_rng(9))[0]
    split = common.tick(ROWS, nines, ROWS, 9 * DAY * TICK)
    assert common.factors == 0
    assert (split.beside == nines).all()
    assert len(split.together) == 0


def test_correlated_signals_have_one_and_their_loadings_are_found(correlated: dict[str, object]) -> None:
    common = restored(correlated)
    assert common.factors == 1
    assert common.in_use
    assert common.loadings[:, 0] == pytest.approx(np.full(12, 0.8), abs=0.1)


def test_beside_the_others_correlated_signals_are_nearly_independent(correlated: dict[str, object]) -> None:
    common, rng = restored(correlated), np.random.default_rng(3)
    nines = nines_of(0.8, 2 * DAY, rng)
    rest = np.array([common.tick(ROWS, row, ROWS, (9 * DAY + i) * TICK).beside for i, row in enumerate(nines)])
    off = ~np.eye(12, dtype=bool)
    assert np.corrcoef(nines.T)[off].mean() > 0.5
    assert abs(np.corrcoef(rest.T)[off].mean()) < 0.12


def test_when_all_move_together_the_factor_is_strange_and_no_signal_beside_the_others(
    correlated: dict[str, object],
) -> None:
    split = restored(correlated).tick(ROWS, np.full(12, 3.5), ROWS, 9 * DAY * TICK)
    assert split.together[0] > 3.0
    assert split.beside.max() < 2.0


def test_one_that_leaves_the_others_is_strange_beside_them_though_not_by_itself(correlated: dict[str, object]) -> None:
    nines = np.full(12, -1.0)
    nines[4] = 1.2  # of its own readings one in 17 is stranger
    split = restored(correlated).tick(ROWS, nines, ROWS, 9 * DAY * TICK)
    assert int(split.beside.argmax()) == 4
    assert split.beside[4] > 3.0


def test_a_few_that_scream_do_not_pull_the_factor(correlated: dict[str, object]) -> None:
    nines = np.zeros(12)
    nines[:3] = 9.0
    split = restored(correlated).tick(ROWS, nines, ROWS, 9 * DAY * TICK)
    assert (split.beside[:3] > 5.0).all()
    assert np.abs(split.beside[3:]).max() < 2.0


def test_a_signal_that_comes_later_is_left_as_it_is_until_something_is_known_of_it(
    correlated: dict[str, object],
) -> None:
    common = restored(correlated)
    rows = np.arange(13)
    split = common.tick(rows, np.append(np.zeros(12), 2.5), rows, 9 * DAY * TICK)
    assert split.beside[12] == 2.5
