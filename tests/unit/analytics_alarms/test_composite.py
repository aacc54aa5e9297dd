"""The five ways to look at all signals (requirements N2 to N4, and where the book's sum misleads)."""

import numpy as np
import pytest

from roost_rendezvous.analytics.alarms.composite import WAYS, combine

QUIET = np.full(20, 0.3)


def of(nines: np.ndarray) -> dict[str, float]:
    return dict(zip(WAYS, combine(nines, QUIET[: len(nines)]), strict=True))


def usual(rng: np.random.Generator) -> np.ndarray:
    quantile = rng.uniform(size=20)
    return np.log10(quantile / (1.0 - quantile))


def test_nineteen_quiet_monitors_cancel_one_that_screams_in_the_sum_of_the_book_but_in_none_of_ours() -> None:
    quiet = np.full(20, -1.0)
    screaming = quiet.copy()
    screaming[3] = 6.0
    assert screaming.sum() < 0
    assert of(screaming)["one signal"] > 4.0 + of(quiet)["one signal"]
    assert all(of(screaming)[way] >= of(quiet)[way] for way in WAYS)


def test_eight_slightly_strange_signals_are_beyond_what_chance_gives() -> None:
    rng = np.random.default_rng(1)
    chance = np.array([combine(usual(rng), QUIET) for _ in range(2000)])
    found = 0
    for _ in range(200):
        nines = usual(rng)
        quantile = rng.uniform(0.95, 0.99, size=8)
        nines[:8] = np.log10(quantile / (1.0 - quantile))
        found += bool((combine(nines, QUIET)[2:4] > np.quantile(chance[:, 2:4], 0.999, axis=0)).any())
    assert found >= 180


def test_four_stranger_signals_are_found_by_how_many_are_above_a_level() -> None:
    rng = np.random.default_rng(2)
    chance = np.quantile([combine(usual(rng), QUIET)[2] for _ in range(2000)], 0.999)
    found = 0
    for _ in range(200):
        nines = usual(rng)
        quantile = rng.uniform(0.99, 0.999, size=4)
        nines[:4] = np.log10(quantile / (1.0 - quantile))
        found += bool(combine(nines, QUIET)[2] > chance)
    assert found >= 180


@pytest.mark.parametrize("count", [3, 20, 200])
def test_how_many_signals_there_are_hardly_moves_what_is_usual(count: int) -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(500):
        quantile = rng.uniform(size=count)
        nines = np.log10(quantile / (1.0 - quantile))
        found.append(combine(nines, np.maximum(nines, 0.0)))
    middle = np.median(found, axis=0)
    assert abs(middle[0]) < 0.3
    assert abs(middle[3]) < 0.5


def test_no_signal_is_as_quiet_as_can_be() -> None:
    assert (combine(np.zeros(0), np.zeros(0)) == -4.0).all()


def test_a_single_signal_is_enough() -> None:
    assert combine(np.array([5.0]), np.array([0.3]))[0] == 5.0
