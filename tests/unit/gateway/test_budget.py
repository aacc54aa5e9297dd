import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SECOND
from roost_broker.gateway.budget import TokenBucket, frame_is_wanted, frame_may_go, in_hours
from roost_broker.gateway.settings import GatewayFrames


@given(st.lists(st.tuples(st.integers(1, 50_000), st.integers(0, SECOND)), max_size=60))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[int, int]]) -> None:
    bucket, now, spent = TokenBucket(10_000, 20_000), 0, 0
    for size, pause in steps:
        now += pause
        if bucket.take(size, now):
            spent += min(size, 20_000)
        assert spent <= 20_000 + 10_000 * now // SECOND + 1


@given(st.integers(1, 60_000), st.integers(1, 20_000))
def test_what_is_refused_goes_at_the_time_named_and_not_before(size: int, used: int) -> None:
    bucket = TokenBucket(1_000, 20_000)
    bucket.take(used, 0)
    due = bucket.ready_at(size, 0)
    if due:
        assert not bucket.take(size, due - 1)
    assert bucket.take(size, due)


def test_what_is_urgent_goes_at_once_and_the_others_pay_for_it() -> None:
    bucket = TokenBucket(1_000, 2_000)
    assert bucket.take(2_000, 0)
    assert bucket.take(1_000, 0, urgent=True)
    assert bucket.ready_at(1_000, 0) == 2 * SECOND


@pytest.mark.parametrize(
    ("minute", "inside"), [(21 * 60 + 59, False), (22 * 60, True), (0, True), (299, True), (300, False)]
)
def test_a_night_spans_midnight(minute: int, inside: bool) -> None:
    assert in_hours(minute, GatewayFrames().night_minutes) is inside


def test_a_metered_link_has_its_own_rule_for_pictures() -> None:
    frames = GatewayFrames(send="all", metered="alarmed")
    assert frame_may_go(frames, alarmed=False, metered=False, minute=0)
    assert not frame_may_go(frames, alarmed=False, metered=True, minute=0)
    assert frame_may_go(frames, alarmed=True, metered=True, minute=0)


def test_pictures_that_could_never_travel_are_not_noted() -> None:
    assert not frame_is_wanted(GatewayFrames(send="none", metered="none"), alarmed=True)
    assert frame_is_wanted(GatewayFrames(send="alarmed"), alarmed=True)
    assert not frame_is_wanted(GatewayFrames(send="alarmed"), alarmed=False)
    assert frame_is_wanted(GatewayFrames(send="night"), alarmed=False)
