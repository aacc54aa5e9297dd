"""The newest requests in memory, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from roost_rendezvous.traces.ring import MAX_PARTS, OVERHEAD, Fresh, Kind, Noted, Part, Settled, TraceRing

SETTLE = 100


def ring(max_bytes: int = 100_000, max_requests: int = 100) -> TraceRing:
    return TraceRing(max_bytes=max_bytes, max_requests=max_requests, settle_ns=SETTLE)


def part(request: str, message: str, payload: bytes = b"{}", *, traced: bool = True) -> Part:
    return Part(request, "nest", message, payload, traced)


def test_a_request_settles_when_nothing_was_heard_of_it_for_long_enough() -> None:
    kept = ring()
    kept.handle(part("a", "1"), 0)
    kept.handle(part("a", "2"), 60)
    assert kept.deadline() == 160
    assert kept.expire(159) == ()
    assert kept.expire(160) == (Settled("a", "nest", True, True, {"1": b"{}", "2": b"{}"}),)
    assert kept.deadline() is None
    assert len(kept) == 1


def test_an_untraced_request_is_forgotten_when_it_has_settled() -> None:
    kept = ring()
    kept.handle(part("a", "1", traced=False), 0)
    [settled] = kept.expire(SETTLE)
    assert isinstance(settled, Settled)
    assert not settled.traced
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_word_after_settling_opens_the_request_anew() -> None:
    kept = ring()
    kept.handle(part("a", "1"), 0)
    kept.expire(SETTLE)
    kept.handle(part("a", "2"), 500)
    [again] = kept.expire(500 + SETTLE)
    assert isinstance(again, Settled)
    assert list(again.parts) == ["1", "2"]


def test_a_second_copy_counts_as_duplicate_and_takes_no_room() -> None:
    kept = ring()
    kept.handle(part("a", "1"), 0)
    before = kept.bytes
    assert kept.handle(part("a", "1"), 1) == (Noted(Kind.DUPLICATE, "a"),)
    assert kept.bytes == before


def test_beyond_its_bytes_the_oldest_goes_and_is_settled_first() -> None:
    kept = ring(max_bytes=4 * (OVERHEAD + 1000))
    kept.handle(part("old", "1", b"x" * 600), 0)
    kept.handle(part("new", "2", b"x" * 600), 1)
    kept.handle(part("old", "3", b"x" * 600), 2)  # now `new` is the oldest
    said = kept.handle(part("third", "4", b"x" * 600), 3)
    while not said:
        said = kept.handle(part("third", f"{len(kept)}{kept.bytes}", b"x" * 600), 4)
    assert said[0] == Noted(Kind.MADE_ROOM, "new")
    assert isinstance(said[1], Settled)
    assert said[1].request_id == "new"


def test_more_requests_than_allowed_make_the_oldest_go() -> None:
    kept = ring(max_requests=2)
    for number in range(3):
        said = kept.handle(part(f"r{number}", str(number)), number)
    assert said[0] == Noted(Kind.MADE_ROOM, "r0")
    assert len(kept) == 2


def test_a_message_that_would_fill_a_quarter_of_the_ring_is_left_out() -> None:
    kept = ring(max_bytes=10_000)
    assert kept.handle(part("a", "1", b"x" * 2_400), 0) == (Noted(Kind.TOO_LARGE, "a"),)
    assert len(kept) == 0


def test_a_request_has_room_for_so_many_messages_and_no_more() -> None:
    kept = ring(max_bytes=10**6)
    for number in range(MAX_PARTS):
        assert kept.handle(part("a", str(number)), 0) == ()
    assert kept.handle(part("a", "one more"), 0) == (Noted(Kind.TOO_MANY, "a"),)


def test_fresh_gives_each_traced_request_once_for_each_time_that_something_was_heard() -> None:
    kept = ring()
    kept.handle(part("a", "1", traced=False), 0)
    assert kept.fresh() == ()
    kept.handle(part("a", "2"), 1)
    assert kept.fresh() == (Fresh("a", "nest", {"1": b"{}", "2": b"{}"}),)
    assert kept.fresh() == ()
    kept.handle(part("a", "3", traced=False), 2)
    assert [list(one.parts) for one in kept.fresh()] == [["1", "2", "3"]]
    [settled] = kept.expire(10**6)
    assert isinstance(settled, Settled)
    assert not settled.unsaved


def test_at_the_end_everything_open_is_settled() -> None:
    kept = ring()
    kept.handle(part("a", "1"), 0)
    kept.handle(part("b", "2", traced=False), 0)
    assert [action.request_id for action in kept.finish()] == ["a", "b"]
    assert kept.finish() == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"), st.integers(0, 30), st.integers(0, 3000), st.booleans(), st.integers(0, 80)
        ),
        max_size=200,
    )
)
def test_whatever_comes_the_ring_keeps_its_bounds_and_its_sum_is_right(
    events: list[tuple[str, int, int, bool, int]],
) -> None:
    kept = ring(max_bytes=10_000, max_requests=5)
    now, heard, said = 0, set[str](), list[str]()
    for request, message, size, traced, later in events:
        now += later
        for action in kept.expire(now):
            said.append(action.request_id)
        for action in kept.handle(part(request, str(message), b"x" * size, traced=traced), now):
            if isinstance(action, Settled):
                said.append(action.request_id)
        heard.add(request)
        assert 0 <= kept.bytes <= 10_000
        assert len(kept) <= 5
        assert kept.bytes == sum(
            OVERHEAD + sum(len(payload) + OVERHEAD for payload in entry.parts.values())
            for entry in kept._entries.values()
        )
    said += [action.request_id for action in kept.finish()]
    assert set(said) <= heard
