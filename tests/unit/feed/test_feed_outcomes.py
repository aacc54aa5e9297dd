from email.utils import formatdate

import pytest

from roost_broker.clock import SECOND
from roost_edge.feed.outcomes import KEYS_PAUSE_NS, Later, Posted, Refused, back_off_ns, outcome_of, settled, wait_ns

NOW_S = 1_800_000_000


def headers(**others: str) -> dict[str, str]:
    return {"date": formatdate(NOW_S, usegmt=True)} | {name.replace("_", "-"): value for name, value in others.items()}


def of(status: int, said: str = "", *, creating: bool = True, codes: tuple[int, ...] = (), **others: str) -> object:
    return outcome_of(status, headers(**others), codes, said, now_ms=NOW_S * 1000, creating=creating)


def test_a_limit_is_waited_for_by_the_services_own_clock_whatever_ours_says() -> None:
    said = headers(x_rate_limit_remaining="0", x_rate_limit_reset=str(NOW_S + 100))
    for ours in (0, NOW_S * 1000, NOW_S * 2000):
        assert wait_ns(said, ours) == 101 * SECOND


def test_of_several_limits_the_longest_that_is_reached_counts() -> None:
    said = headers(x_rate_limit_remaining="9", x_rate_limit_reset=str(NOW_S + 9_000))
    said |= {"x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": str(NOW_S + 500), "retry-after": "20"}
    assert wait_ns(said, 0) == 501 * SECOND


@pytest.mark.parametrize("reset", ["", "soon", "-5", "9" * 30])
def test_a_reset_that_is_no_number_is_not_believed(reset: str) -> None:
    assert wait_ns(headers(x_rate_limit_reset=reset), 0) is None


def test_a_reset_in_the_past_or_in_a_hundred_years_is_bounded() -> None:
    assert wait_ns(headers(x_rate_limit_reset="5"), 0) == SECOND
    assert wait_ns(headers(x_rate_limit_reset="99999999999"), 0) == 7 * 86_400 * SECOND


def test_each_answer_of_the_service_has_its_meaning() -> None:
    assert of(429, x_rate_limit_reset=str(NOW_S + 9)) == Later("rate-limit", "429", wait_ns=10 * SECOND)
    assert of(503) == Later("service-down", "503", unsure=True)
    assert of(503, creating=False) == Later("service-down", "503")
    assert of(401, "Unauthorized") == Later("keys", "401 Unauthorized", wait_ns=KEYS_PAUSE_NS)
    assert of(403, "not permitted") == Later("keys", "403 not permitted", wait_ns=KEYS_PAUSE_NS)
    assert of(400, "too long") == Refused("rejected", "400 too long")
    assert of(302) == Later("service-down", "302")
    duplicate = Refused("duplicate", "403 no duplicate content")
    assert of(403, "no duplicate content") == duplicate
    assert of(403, codes=(187,)) == Refused("duplicate", "403")
    # The last request that a limit allows may well be the one that says so.
    assert of(403, "no duplicate content", x_rate_limit_remaining="0") == duplicate


def test_said_already_after_an_attempt_of_unknown_end_means_that_it_was_posted() -> None:
    assert settled(Refused("duplicate", ""), unsure=True) == Posted("")
    assert settled(Refused("duplicate", ""), unsure=False) == Refused("duplicate", "")
    assert settled(Refused("rejected", ""), unsure=True) == Refused("rejected", "")


def test_our_own_waits_double_up_to_a_bound_and_are_spread() -> None:
    waits = [back_off_ns(n, first_s=30, longest_s=3_600, spread=0.5) // SECOND for n in range(1, 10)]
    assert waits == [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    assert back_off_ns(10**6, first_s=30, longest_s=3_600, spread=1.0) == 4_500 * SECOND
