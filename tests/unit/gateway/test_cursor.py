"""One lane against a stream that loses messages, acknowledgements and connections as Hypothesis likes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND
from roost_broker.gateway.cursor import Cursor
from roost_broker.gateway.rows import Row
from roost_broker.moments import Stamp

STAMP = Stamp("boot", 0, 0)
TIMEOUT = 100 * MS


def rows(first: int, last: int) -> tuple[Row, ...]:
    return tuple(Row("inputs", seq, "roost/n/t/input", b"x", STAMP) for seq in range(first, last + 1))


def cursor(last: int = 10, *, settled: int = 0, window: int = 4, position: int | None = None) -> Cursor:
    return Cursor("inputs", window=window, ack_timeout=TIMEOUT, settled=settled, last=last, position=position)


def opened(last: int = 10, window: int = 4) -> Cursor:
    one = cursor(last, window=window)
    one.linked()
    one.fates({}, 0)
    one.rows_loaded(one.load(), rows(1, last))
    return one


def leave(one: Cursor, now: int = 0) -> list[int]:
    """Send whatever is ready."""
    gone = []
    while (row := one.ready()) is not None:
        one.sent(row, now)
        gone.append(row.seq)
    return gone


def test_nothing_leaves_before_the_stream_was_asked() -> None:
    one = cursor()
    one.linked()
    one.rows_loaded(one.load(), rows(1, 10))
    assert leave(one) == []
    one.fates({}, 0)
    assert leave(one) == [1]


def test_one_at_a_time_until_the_first_success_then_a_window() -> None:
    one = opened()
    assert leave(one) == [1]
    assert one.acked(1, 1) == "sent"
    assert leave(one) == [2, 3, 4, 5]


def test_after_a_failure_nothing_new_leaves_until_the_fate_of_all_is_known() -> None:
    one = opened()
    leave(one)
    one.acked(1, 1)
    assert leave(one) == [2, 3, 4, 5]
    assert one.failed(3, 0) == "failed"
    one.acked(2, 2)
    assert leave(one) == []
    assert one.state == "draining"
    one.acked(5, 3)
    one.failed(4, 0)
    assert one.state == "pausing"
    assert not one.asks_again(0)
    due = one.deadline()
    assert due is not None
    assert one.asks_again(due)
    assert one.fates({4: 4}, 4) == "known"  # 4 was stored, only its acknowledgement was lost
    assert leave(one) == [3], "the oldest that is not there, alone"
    one.acked(3, 5)
    assert one.settled == 5
    assert leave(one) == [6, 7, 8, 9]


def test_what_the_stream_holds_after_days_is_not_sent_again() -> None:
    one = cursor(settled=100, last=105, position=70)
    one.linked()
    assert one.position == 70
    one.fates({101: 71, 103: 72}, 90)
    one.rows_loaded(one.load(), rows(101, 105))
    assert one.settled == 101
    assert leave(one) == [102]
    one.acked(102, 91)
    assert one.settled == 103
    assert leave(one) == [104, 105]


def test_a_stream_that_knows_more_than_the_outbox_ever_gave_is_told() -> None:
    one = cursor(settled=100, last=105, position=70)
    one.linked()
    assert one.fates({106: 99}, 99) == "ahead"


def test_a_number_that_was_given_but_never_sent_from_here_is_somebody_elses_too() -> None:
    one = cursor(settled=100, last=105, position=70)
    one.stored(120)  # new messages since the start
    one.linked()
    assert one.fates({106: 99}, 99) == "ahead"


def test_the_pauses_grow_and_are_bounded() -> None:
    one = opened()
    now = 0
    pauses = []
    for _ in range(12):
        leave(one, now)
        one.failed(1, now)
        due = one.deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
        assert one.asks_again(now)
        one.fates({}, 0)
    assert pauses == sorted(pauses)
    assert pauses[0] == 100 * MS
    assert pauses[-1] == 30 * SECOND


def test_an_acknowledgement_that_comes_late_counts() -> None:
    one = opened()
    leave(one)
    assert one.expire(TIMEOUT) == (1,)
    assert one.acked(1, 1) == "acked-late"
    assert one.acked(1, 1) == "acked-twice"
    assert one.settled == 1


def test_a_message_that_can_never_go_is_replaced_by_its_gap() -> None:
    one = opened(last=4)
    leave(one)
    one.given_up(1)
    assert one.wants_more
    gap = Row("inputs", 1, "roost/n/t/input", b"", STAMP, gap_first=1)
    one.rows_loaded(one.load(), (gap, *rows(2, 4)))
    row = one.ready()
    assert row is gap


def test_what_was_loaded_before_it_was_given_up_does_not_come_back() -> None:
    one = opened(last=200, window=300)
    leave(one)
    one.stored(300)
    after = one.load()
    one.given_up(1)
    one.rows_loaded(after, rows(201, 300))
    assert one.ready() is None
    assert one.wants_more
    assert one.load() == 0


@settings(max_examples=300)
@given(st.data())
def test_whatever_gets_lost_everything_is_stored_once_and_settled_in_order(data: st.DataObject) -> None:
    """The stream is a list. Links break, messages and acknowledgements vanish, processes restart."""
    last, window = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    outbox_settled, outbox_position = 0, None
    stream: list[int] = []
    now = 0
    one = cursor(last, window=window)
    settled = 0
    wire: list[int] = []
    troubles = data.draw(st.integers(0, 25))
    for _ in range(2000):
        assert one.settled >= settled
        settled = one.settled
        if settled == last:
            break
        outbox_settled, outbox_position = one.settled, one.position
        trouble = troubles > 0 and data.draw(st.sampled_from(["", "", "cut", "kill", "late"]))
        troubles -= bool(trouble)
        if trouble == "kill":
            one = cursor(last, settled=outbox_settled, window=window, position=outbox_position)
            wire, settled = [], outbox_settled
        elif trouble == "cut":
            one.unlinked()
            wire = []
        elif trouble == "late":
            now += TIMEOUT
        for seq in one.expire(now):
            wire = [other for other in wire if other != seq]
        one.asks_again(now)
        one.linked()
        if one.state == "asking":
            start = one.position
            held = {} if start is None else {seq: at for at, seq in enumerate(stream, 1) if at > start}
            assert one.fates(held, len(stream)) == "known"
        if one.wants_more:
            after = one.load()
            one.rows_loaded(after, rows(after + 1, last))
        while (row := one.ready()) is not None:
            one.sent(row, now)
            stored = troubles <= 0 or data.draw(st.sampled_from([True, True, False]))
            answered = stored and (troubles <= 0 or data.draw(st.sampled_from([True, True, False])))
            if stored:
                stream.append(row.seq)
            if answered:
                one.acked(row.seq, len(stream))
            else:
                wire.append(row.seq)
        for seq in wire if troubles <= 0 or data.draw(st.booleans()) else []:
            one.failed(seq, now)
        wire = [] if not one.flying else wire
        now = max(now + MS, one.deadline() or 0)
    assert settled == last
    assert sorted(stream) == list(range(1, last + 1)), "each once: fates are exact without any window for repetitions"


def test_a_number_that_the_centre_has_though_it_was_never_sent_is_anothers() -> None:
    one = opened()  # ten are in the outbox since an earlier process: they may have been sent
    leave(one)
    assert one.acked(1, 5, again=True) == "sent"
    fresh = opened(last=0)
    fresh.stored(2)
    fresh.rows_loaded(fresh.load(), rows(1, 2))
    leave(fresh)
    assert fresh.acked(1, 6, again=True) == "twin"
    assert fresh.settled == 0


def test_a_number_that_was_on_its_way_when_the_link_broke_is_ours() -> None:
    one = opened(last=0)
    one.stored(1)
    one.rows_loaded(one.load(), rows(1, 1))
    leave(one)
    one.unlinked()
    one.linked()
    one.fates({}, 0)  # it was still in the network when we asked
    leave(one)
    assert one.acked(1, 6, again=True) == "sent"
