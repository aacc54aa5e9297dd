"""The table of who waits: each waiter hears exactly one thing, whatever comes in whatever order."""

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roost_rendezvous.proxy.waiting import (
    Action,
    Asked,
    Give,
    GiveUp,
    Kind,
    Left,
    Noted,
    Publish,
    Reconnected,
    Refuse,
    ResultArrived,
    Waiting,
)


@pytest.fixture
def table() -> Waiting:
    return Waiting(max_waiting=3, remember=10)


def test_a_result_goes_to_the_one_who_asked(table: Waiting) -> None:
    assert table.handle(Asked("a", 1, 100), 0) == (Publish("a", 1),)
    assert table.handle(Asked("b", 2, 100), 0) == (Publish("b", 1),)
    assert table.handle(ResultArrived("b", "B"), 5) == (Give(2, "B"),)
    assert table.handle(ResultArrived("a", "A"), 6) == (Give(1, "A"),)
    assert len(table) == 0


def test_a_second_waiter_for_the_same_request_joins_and_both_are_told(table: Waiting) -> None:
    table.handle(Asked("a", 1, 100), 0)
    assert table.handle(Asked("a", 2, 100), 0) == (Noted(Kind.JOINED, "a"),)
    assert table.handle(ResultArrived("a", "A"), 5) == (Give(1, "A"), Give(2, "A"))


def test_at_its_deadline_and_not_before_a_waiter_is_told_that_nothing_came(table: Waiting) -> None:
    table.handle(Asked("a", 1, 100), 0)
    table.handle(Asked("a", 2, 200), 0)
    assert table.deadline() == 100
    assert table.expire(99) == ()
    assert table.expire(100) == (GiveUp(1),)
    assert table.deadline() == 200
    assert table.handle(ResultArrived("a", "A"), 150) == (Give(2, "A"),)
    assert table.deadline() is None


def test_one_too_many_is_refused_and_keeps_nobody_else_out(table: Waiting) -> None:
    for waiter in range(3):
        table.handle(Asked(f"r{waiter}", waiter, 100), 0)
    assert table.full
    assert table.handle(Asked("x", 9, 100), 0) == (Refuse(9), Noted(Kind.FULL, "x"))
    table.handle(ResultArrived("r0", ""), 1)
    assert table.handle(Asked("x", 9, 100), 1) == (Publish("x", 1),)


def test_results_that_nobody_waits_for_are_called_by_their_names(table: Waiting) -> None:
    table.handle(Asked("late", 1, 10), 0)
    table.expire(10)
    assert table.handle(ResultArrived("late", ""), 11) == (Noted(Kind.LATE_RESULT, "late"),)
    assert table.handle(ResultArrived("late", ""), 12) == (Noted(Kind.REPEATED_RESULT, "late"),)
    assert table.handle(ResultArrived("never", ""), 12) == (Noted(Kind.UNKNOWN_RESULT, "never"),)


def test_who_left_is_told_nothing_and_leaves_once(table: Waiting) -> None:
    table.handle(Asked("a", 1, 100), 0)
    assert table.handle(Left(1), 1) == (Noted(Kind.LEFT, "a"),)
    assert table.handle(Left(1), 1) == (Noted(Kind.UNKNOWN_WAITER, ""),)
    assert table.expire(100) == ()
    assert table.handle(ResultArrived("a", ""), 101) == (Noted(Kind.LATE_RESULT, "a"),)


def test_the_same_request_asked_again_later_is_the_next_attempt(table: Waiting) -> None:
    table.handle(Asked("a", 1, 100), 0)
    table.handle(ResultArrived("a", ""), 1)
    assert table.handle(Asked("a", 2, 200), 100) == (Publish("a", 2),)


def test_when_the_broker_is_back_what_is_open_is_published_again(table: Waiting) -> None:
    table.handle(Asked("a", 1, 100), 0)
    table.handle(Asked("b", 2, 100), 0)
    table.handle(ResultArrived("a", ""), 1)
    assert table.handle(Reconnected(), 2) == (Publish("b", 2),)


def test_what_is_remembered_is_bounded() -> None:
    table = Waiting(max_waiting=3, remember=5)
    for number in range(20):
        table.handle(Asked(str(number), number, 100), 0)
        table.handle(ResultArrived(str(number), ""), 0)
    assert table.handle(ResultArrived("0", ""), 1) == (Noted(Kind.UNKNOWN_RESULT, "0"),)
    assert table.handle(ResultArrived("19", ""), 1) == (Noted(Kind.REPEATED_RESULT, "19"),)


@given(st.integers(1, 2000))
def test_moments_of_those_who_were_answered_early_are_not_kept(count: int) -> None:
    table = Waiting(max_waiting=3, remember=5)
    for number in range(count):
        table.handle(Asked(str(number), number, 10**15), 0)
        table.handle(ResultArrived(str(number), ""), 0)
    assert len(table._due) <= 64 + 2


class Machine(RuleBasedStateMachine):
    """Every waiter hears one thing, in time, and about the request it asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Waiting(max_waiting=4, remember=6)
        self.now = 0
        self.asked: dict[int, tuple[str, int]] = {}
        self.heard: Counter[int] = Counter()

    def _take(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Give | GiveUp | Refuse):
                self.heard[action.waiter] += 1
                request, deadline = self.asked[action.waiter]
                if isinstance(action, Give):
                    assert action.result == request
                if isinstance(action, GiveUp):
                    assert self.now >= deadline

    @rule(request=st.sampled_from("abcdef"), patience=st.integers(1, 20))
    def ask(self, request: str, patience: int) -> None:
        waiter = len(self.asked)
        self.asked[waiter] = request, self.now + patience
        self._take(self.table.handle(Asked(request, waiter, self.now + patience), self.now))

    @rule(request=st.sampled_from("abcdefg"))
    def result(self, request: str) -> None:
        self._take(self.table.handle(ResultArrived(request, request), self.now))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(sorted(self.asked)))
        (noted,) = self.table.handle(Left(waiter), self.now)
        assert isinstance(noted, Noted)
        assert (noted.kind is Kind.LEFT) == (self.heard[waiter] == 0)
        self.heard[waiter] += noted.kind is Kind.LEFT

    @rule()
    def reconnect(self) -> None:
        again = [action.request_id for action in self.table.handle(Reconnected(), self.now) if type(action) is Publish]
        assert sorted(again) == sorted({self.asked[waiter][0] for waiter in self.asked if not self.heard[waiter]})

    @rule(passed=st.integers(1, 10))
    def wait(self, passed: int) -> None:
        self.now += passed
        self._take(self.table.expire(self.now))

    @invariant()
    def nobody_hears_twice_and_nobody_is_forgotten(self) -> None:
        assert all(count <= 1 for count in self.heard.values())
        silent = [waiter for waiter in self.asked if not self.heard[waiter]]
        assert len(silent) == len(self.table) <= 4
        assert all(self.asked[waiter][1] > self.now for waiter in silent)
        assert self.table.deadline() == min((self.asked[waiter][1] for waiter in silent), default=None)


TestMachine = Machine.TestCase
