import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_broker.reconnect import Reconnect, ReconnectPolicy


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_between_half_and_the_whole_of_the_doubled_first_and_never_over_the_ceiling(
    attempt: int, random: float
) -> None:
    policy = ReconnectPolicy(first_ns=100 * MS, ceiling_ns=10 * SECOND)
    whole = min(10 * SECOND, 100 * MS * 2**attempt)
    assert whole // 2 <= policy.delay_ns(attempt, random) <= whole


def test_delays_grow_while_it_fails_and_start_afresh_after_a_connection_that_held() -> None:
    state = Reconnect(ReconnectPolicy(first_ns=100 * MS, ceiling_ns=10 * SECOND, stable_ns=5 * SECOND))
    assert [state.lost(0, 0.0) for _ in range(3)] == [50 * MS, 100 * MS, 200 * MS]
    state.connected(10 * SECOND)
    assert state.lost(15 * SECOND, 0.0) == 50 * MS


def test_a_broker_that_greets_and_hangs_up_is_not_hammered() -> None:
    state = Reconnect(ReconnectPolicy(first_ns=100 * MS, ceiling_ns=10 * SECOND, stable_ns=5 * SECOND))
    delays = []
    now = 0
    for _ in range(8):
        state.connected(now)
        now += 1 * SECOND
        delays.append(state.lost(now, 0.0))
    assert delays == sorted(delays)
    assert delays[-1] == 5 * SECOND


def test_an_impossible_policy_is_refused() -> None:
    with pytest.raises(Misuse):
        ReconnectPolicy(first_ns=0)
    with pytest.raises(Misuse):
        ReconnectPolicy(first_ns=2, ceiling_ns=1)
