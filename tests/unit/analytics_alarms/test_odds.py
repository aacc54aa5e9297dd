"""Log-odds are the number of nines (requirement N2)."""

import pytest

from roost_rendezvous.analytics.alarms.odds import MOST_NINES, log_odds, nines, stranger


@pytest.mark.parametrize(("quantile", "expected"), [(0.999, 2.99957), (0.001, -2.99957), (0.5, 0.0), (0.9, 0.95424)])
def test_log_odds_of_base_ten(quantile: float, expected: float) -> None:
    assert log_odds(quantile) == pytest.approx(expected, abs=5e-6)


def test_nines_of_what_is_left_agree_with_log_odds() -> None:
    assert nines(0.001) == pytest.approx(log_odds(0.999))


def test_near_one_the_distance_keeps_its_digits_where_a_quantile_has_none_left() -> None:
    assert 1.0 - 1e-20 == 1.0
    assert nines(1e-11) == pytest.approx(11.0)
    assert nines(2e-11) == pytest.approx(11.0 - 0.30103, abs=1e-4)


def test_nines_are_cut_at_both_ends() -> None:
    assert nines(0.0) == nines(1e-300) == MOST_NINES
    assert nines(1.0) == -MOST_NINES


@pytest.mark.parametrize("value", [-6.0, -1.0, 0.0, 0.5, 3.0, 11.0])
def test_there_and_back(value: float) -> None:
    assert nines(stranger(value)) == pytest.approx(value, abs=1e-4)
