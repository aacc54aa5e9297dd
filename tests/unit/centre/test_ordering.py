import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.ordering import Gap, Orderer
from roost_broker.errors import Misuse

OUTBOX = "a" * 32


def message(seq: int, *, outbox: str = OUTBOX, gap: tuple[int, int] | None = None) -> Envelope:
    return Envelope("roost/c/t/input", b"", "c", outbox, "inputs", seq, 0, gap=gap)


def seqs(envelopes: tuple[Envelope, ...]) -> list[int]:
    return [one.seq for one in envelopes]


def test_messages_in_order_are_given_at_once() -> None:
    order = Orderer()
    assert [seqs(order.take(message(n), 0)) for n in (5, 6, 7)] == [[5], [6], [7]]
    assert order.deadline() is None


def test_two_that_came_the_wrong_way_round_are_put_right() -> None:
    order = Orderer()
    order.take(message(1), 0)
    assert order.take(message(3), 0) == ()
    assert seqs(order.take(message(2), 0)) == [2, 3]


def test_a_repetition_is_counted_and_not_given() -> None:
    order = Orderer()
    order.take(message(1), 0)
    assert order.take(message(1), 0) == ()
    order.take(message(3), 0)
    assert order.take(message(3), 0) == ()
    assert order.counts["duplicate"] == 2


def test_a_hole_is_waited_for_and_then_named() -> None:
    order = Orderer(wait_ns=10)
    order.take(message(1), 0)
    order.take(message(4), 5)
    assert order.deadline() == 15
    assert order.expire(14) == ()
    assert seqs(order.expire(15)) == [4]
    assert list(order.gaps) == [Gap(OUTBOX, "inputs", 2, 3, "waited")]
    assert order.deadline() is None


def test_what_comes_after_it_was_given_up_is_late() -> None:
    order = Orderer(wait_ns=0)
    order.take(message(1), 0)
    order.take(message(3), 0)
    order.expire(0)
    assert order.take(message(2), 1) == ()
    assert order.take(message(2), 1) == ()
    assert (order.counts["late"], order.counts["duplicate"]) == (1, 1)


def test_nobody_waits_for_what_the_gateway_said_will_not_come() -> None:
    order = Orderer()
    order.take(message(1), 0)
    assert order.take(message(9, gap=(2, 9)), 0) == ()
    assert seqs(order.take(message(10), 0)) == [10]
    assert list(order.gaps) == [Gap(OUTBOX, "inputs", 2, 9, "told")]


def test_a_gap_that_overtook_its_predecessor_is_held_too() -> None:
    order = Orderer()
    order.take(message(1), 0)
    assert order.take(message(5, gap=(3, 5)), 0) == ()
    assert seqs(order.take(message(2), 0)) == [2]
    assert seqs(order.take(message(6), 0)) == [6]


def test_what_is_held_is_bounded_and_the_fullest_gives_up_first() -> None:
    order = Orderer(max_held=2)
    order.take(message(1), 0)
    order.take(message(3), 0)
    order.take(message(4), 0)
    assert seqs(order.take(message(6), 0)) == [3, 4]
    assert order.gaps[-1].why == "full"


def test_outboxes_do_not_wait_for_each_other() -> None:
    order = Orderer()
    order.take(message(1), 0)
    order.take(message(3), 0)
    assert seqs(order.take(message(1, outbox="b" * 32), 0)) == [1]


def test_of_outboxes_beyond_the_bound_the_one_silent_longest_is_forgotten() -> None:
    order = Orderer(max_outboxes=2)
    for outbox in "abab":
        order.take(message(1 if order.counts["given"] < 2 else 2, outbox=outbox * 32), 0)
    order.take(message(1, outbox="c" * 32), 0)
    assert order.counts["forgotten"] == 1
    assert seqs(order.take(message(3, outbox="b" * 32), 0)) == [3]


@given(st.integers(1, 60), st.randoms(use_true_random=False), st.integers(1, 8))
def test_however_they_are_shuffled_and_repeated_each_comes_once_and_in_order(
    count: int, chance: random.Random, window: int
) -> None:
    arrivals = list(range(1, count + 1))
    for begin in range(1, count, window):  # the first stays the first: it says where the stream begins
        part = arrivals[begin : begin + window]
        chance.shuffle(part)
        arrivals[begin : begin + window] = part
    arrivals += [chance.choice(arrivals) for _ in range(5)]
    order = Orderer()
    given_out = [seq for number in arrivals for seq in seqs(order.take(message(number), 0))]
    assert given_out == list(range(1, count + 1))


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=60), st.integers(1, 5))
def test_whatever_comes_what_is_given_only_goes_up_and_the_bound_holds(
    arrivals: list[tuple[int, int]], bound: int
) -> None:
    order = Orderer(wait_ns=5, max_held=bound)
    given_out: list[int] = []
    for now, (seq, length) in enumerate(arrivals):
        given_out += seqs(order.expire(now))
        first = max(1, seq - length)
        given_out += seqs(order.take(message(seq, gap=(first, seq) if length else None), now))
        assert sum(len(stream.held) for stream in order._streams.values()) == order._held <= bound
    while (due := order.deadline()) is not None:
        given_out += seqs(order.expire(due))
    assert given_out == sorted(set(given_out))
    assert order._held == 0


def test_bounds_of_nothing_are_refused() -> None:
    with pytest.raises(Misuse):
        Orderer(max_held=0)
