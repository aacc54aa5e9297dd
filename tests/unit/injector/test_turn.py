"""Whose turn it is, step by step. Items are plain words."""

from typing import Any, Literal

from roost_broker.clock import SECOND
from roost_broker.messages import Token
from roost_rendezvous.injector.turn import (
    WAIT_NS,
    Inject,
    Leave,
    PassOn,
    ReadSnapshot,
    TookOver,
    Turn,
    Watch,
    WriteSnapshot,
)

OLD, NEW = "injector-nest", "injector-nest-b"


def token(
    kind: Literal["snapshot", "transition"] = "transition",
    component: Literal["injector", "rendezvous"] = "injector",
    *,
    old: str = OLD,
    new: str = NEW,
    number: int = 0,
) -> Token:
    return Token(
        timestamp=1,
        message_id="0" * 32,
        kind=kind,
        component=component,
        handover_id=f"{number:032x}",
        old=old,
        new=new,
        location="handover",
    )


def standby() -> Turn[str]:
    return Turn(NEW, standby=True)


def waiting(*, seen: tuple[str, ...] = ()) -> Turn[str]:
    turn = standby()
    for request_id in seen:
        turn.request(request_id, request_id)
    turn.token(token(), "T", 0)
    assert turn.side == "waiting"
    return turn


def test_the_old_one_passes_the_transition_token_on_as_its_last_word() -> None:
    turn: Turn[str] = Turn(OLD)
    assert turn.request("1", "r1") == (Inject("r1"),)
    assert turn.token(token("snapshot"), "S", 0) == (WriteSnapshot("handover"), PassOn("S"))
    assert turn.request("2", "r2") == (Inject("r2"),)
    assert turn.token(token(), "T", 0) == (PassOn("T", last=True),)
    assert turn.request("3", "r3") == (Leave("r3"),)
    assert turn.token(token("snapshot", "rendezvous"), "R", 0) == (Leave("R"),)


def test_tokens_for_others_are_passed_on_and_change_nothing() -> None:
    turn: Turn[str] = Turn(OLD)
    for other in (token(component="rendezvous"), token("snapshot", "rendezvous"), token(old="injector-door")):
        assert turn.token(other, "T", 0) == (PassOn("T"),)
    assert turn.request("1", "r1") == (Inject("r1"),)


def test_the_new_one_leaves_requests_to_the_old_one_until_its_token() -> None:
    turn = standby()
    assert turn.request("1", "r1") == (Leave("r1"),)
    assert turn.token(token(component="rendezvous"), "R", 0) == (Leave("R"),)
    assert turn.token(token("snapshot"), "S", 0) == (Leave("S"),)
    assert turn.on_input(token("snapshot")) == (ReadSnapshot("handover"),)
    assert turn.token(token(new="injector-nest-c"), "T", 0) == (Leave("T"),)
    assert turn.side == "standby"


def test_what_is_behind_the_token_waits_until_the_token_is_on_input() -> None:
    turn = standby()
    turn.request("1", "r1")
    assert turn.token(token(), "T", 0) == (Watch(OLD),)
    assert turn.request("2", "r2") == turn.request("3", "r3") == ()
    assert turn.on_input("1") == ()
    assert turn.on_input(token()) == (TookOver("token"), Leave("T"), Inject("r2"), Inject("r3"))
    assert turn.request("4", "r4") == (Inject("r4"),)
    assert turn.deadline() is None


def test_a_token_seen_on_input_before_it_is_seen_on_raw_counts_when_it_comes() -> None:
    turn = standby()
    turn.on_input(token())
    assert turn.request("1", "r1") == (Leave("r1"),)  # the old one did it: the token came behind it
    assert turn.token(token(), "T", 0) == (TookOver("token"), Leave("T"))


def test_a_token_of_an_earlier_hand_over_on_input_is_not_the_one_waited_for() -> None:
    turn = standby()
    turn.on_input(token(number=1))
    assert turn.token(token(number=2), "T", 0) == (Watch(OLD),)
    assert turn.on_input(token(number=1)) == ()
    assert turn.side == "waiting"


def test_when_the_old_one_is_gone_its_unfinished_requests_come_first_then_the_token_then_what_waited() -> None:
    turn = waiting(seen=("1", "2", "3"))
    turn.on_input("1")
    turn.request("4", "4")
    expected = (TookOver("gone"), Inject("2"), Inject("3"), PassOn("T"), Inject("4"))
    assert turn.predecessor("ready") == ()
    assert turn.predecessor("gone") == expected
    assert turn.predecessor("gone") == ()


def test_an_old_one_gone_before_the_token_is_not_waited_for_unless_it_has_come_back() -> None:
    for states, expected in (
        (("gone",), (Watch(OLD), TookOver("gone"), PassOn("T"))),
        (("gone", "ready"), (Watch(OLD),)),
    ):
        turn = standby()
        for state in states:
            turn.predecessor(state)
        assert turn.token(token(), "T", 0) == expected


def test_an_old_one_that_is_silent_is_waited_for_no_longer_than_the_bound() -> None:
    turn = standby()
    turn.token(token(), "T", 5)
    turn.request("1", "r1")
    assert turn.deadline() == 5 + WAIT_NS
    assert turn.expire(4 + WAIT_NS) == ()
    assert turn.expire(5 + WAIT_NS) == (TookOver("waited"), PassOn("T"), Inject("r1"))
    assert turn.expire(5 + 2 * WAIT_NS) == ()
    assert turn.on_input(token()) == ()  # the old one wakes up: too late, and counted by nobody


def test_a_watch_that_broke_makes_nothing_be_injected_twice() -> None:
    turn = waiting(seen=("1", "2"))
    turn.watch_lost()
    assert turn.predecessor("gone") == (TookOver("gone"), PassOn("T"))


def test_tokens_that_waited_keep_their_place_in_the_line() -> None:
    turn = waiting()
    turn.request("1", "r1")
    turn.token(token("snapshot", "rendezvous"), "R", 0)
    turn.request("2", "r2")
    assert turn.on_input(token())[2:] == (Inject("r1"), PassOn("R"), Inject("r2"))


def test_a_second_hand_over_that_waited_is_carried_out_in_its_turn() -> None:
    turn = waiting()
    turn.request("1", "r1")
    turn.token(token(old=NEW, new=OLD, number=2), "T2", 0)
    turn.request("2", "r2")
    assert turn.on_input(token())[2:] == (Inject("r1"), PassOn("T2", last=True), Leave("r2"))
    assert turn.side == "over"


def test_after_a_lost_connection_the_new_one_waits_for_everything_to_come_again() -> None:
    turn = waiting()
    turn.request("1", "r1")
    turn.connection_lost(last_word_said=False)
    assert (turn.side, turn.deadline()) == ("standby", None)
    assert turn.token(token(), "T again", SECOND) == (Watch(OLD),)
    turn.request("1", "r1 again")
    assert turn.on_input(token()) == (TookOver("token"), Leave("T again"), Inject("r1 again"))


def test_a_last_word_that_was_not_taken_is_said_again_with_all_before_it() -> None:
    turn: Turn[str] = Turn(OLD)
    turn.token(token(), "T", 0)
    turn.connection_lost(last_word_said=False)
    assert turn.request("1", "r1 again") == (Inject("r1 again"),)
    assert turn.token(token(), "T again", 0) == (PassOn("T again", last=True),)
    turn.connection_lost(last_word_said=True)
    assert turn.request("2", "r2") == (Leave("r2"),)


def test_what_is_held_is_bounded() -> None:
    turn: Turn[str] = Turn(NEW, standby=True, max_kept=3)
    for number in range(5):
        turn.request(str(number), f"r{number}")
    turn.token(token(), "T", 0)
    done: list[Any] = []
    for number in range(5, 9):
        done += turn.request(str(number), f"r{number}")
    injected = [action.item for action in done if isinstance(action, Inject)]
    assert injected == ["r2", "r3", "r4", "r5", "r6", "r7", "r8"]
    assert turn.counts["handover-overdue"] == 1
