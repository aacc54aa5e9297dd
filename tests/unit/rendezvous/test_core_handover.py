"""One server hands over to the next by tokens in the stream: no request is lost, none is answered twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendezvous_world import World

from roost_broker.clock import MS, SECOND
from roost_rendezvous.mailbox.actions import Action, Answer, Kind, Noted
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import Default, Schedule, Step

LADDER = Schedule(
    task="henhouse",
    sla_ms=2000,
    steps=(Step(after_ms=0, accept=("champion",)), Step(after_ms=600, accept=("champion", "fast"))),
    default=Default(after_ms=1900, label="unknown"),
)


def kinds(actions: tuple[Action, ...]) -> list[Kind]:
    return [action.kind for action in actions if isinstance(action, Noted)]


@pytest.fixture
def successor() -> World:
    world = World(LADDER, MailboxPolicy(), standby=True)
    world.token("new")
    return world


def ask(world: World, request_id: str = "r", attempt: int = 1, deadline_ms: int = 2000) -> tuple[Action, ...]:
    return world.request(request_id, attempt=attempt, deadline_ms=deadline_ms)


def test_a_server_in_standby_opens_and_keeps_nothing_but_follows_schedule_and_models() -> None:
    world = World(LADDER, MailboxPolicy(), standby=True)
    assert world.core.standby
    assert kinds(ask(world)) == kinds(world.score("r", "champion")) == [Kind.STANDBY]
    world.gone("champion")
    world.replace(LADDER)
    assert world.core.deadline() is None
    assert kinds(world.token("new")) == [Kind.TOOK_OVER]
    ask(world)
    assert [type(action) for action in world.score("r", "fast")] == [Answer], "the champion's death was heard"


def test_requests_behind_the_token_are_opened_at_once(successor: World) -> None:
    assert kinds(ask(successor)) == []
    assert successor.core.open_ids() == ("r",)


def test_a_request_asked_again_waits_until_the_predecessor_has_said_that_it_does_not_have_it(successor: World) -> None:
    assert kinds(ask(successor, attempt=2)) == [Kind.HELD_REQUEST]
    assert kinds(ask(successor, attempt=3)) == [Kind.DUPLICATE_REQUEST]
    successor.score("r", "champion")
    successor.advance(5 * MS)
    actions = successor.predecessor_said((), ())
    assert [(type(action), action.request_id) for action in actions] == [(Answer, "r")]


def test_a_request_that_is_open_at_the_predecessor_is_not_opened_here_nor_are_its_scores_kept(successor: World) -> None:
    ask(successor, attempt=2)
    successor.score("r", "champion")
    assert kinds(successor.predecessor_said(("r",), ())) == [Kind.WITH_PREDECESSOR] * 2
    assert kinds(ask(successor, attempt=3)) == kinds(successor.score("r", "fast")) == [Kind.WITH_PREDECESSOR]
    assert successor.core.knows("r")
    assert successor.core.deadline() is None


def test_a_request_that_the_predecessor_answered_is_repeated_by_the_shell(successor: World) -> None:
    ask(successor, attempt=2)
    assert kinds(successor.predecessor_said((), ("r",))) == [Kind.REPEATED_REQUEST]
    assert kinds(successor.score("r", "fast")) == [Kind.LATE_SCORE]


def test_what_died_with_the_predecessor_is_new_when_asked_again(successor: World) -> None:
    successor.predecessor_said(("r",), ())
    assert kinds(successor.predecessor_gone()) == []
    assert kinds(ask(successor, attempt=2)) == []
    assert successor.core.is_open("r")


def test_a_predecessor_that_never_speaks_costs_a_repeated_request_a_second_and_no_more(successor: World) -> None:
    began = successor.now
    ask(successor, attempt=2, deadline_ms=60_000)
    successor.score("r", "champion")
    successor.advance(2 * SECOND)
    [(at, answer)] = successor.answers["r"]
    assert (at - began, answer.cause) == (950 * MS, "preferred"), "half of the 1,900 ms until its default"


def test_a_request_in_a_hurry_is_held_for_half_of_its_time_only(successor: World) -> None:
    ask(successor, attempt=2, deadline_ms=200)
    successor.advance(49 * MS)
    assert not successor.core.is_open("r")
    successor.advance(MS)
    assert successor.core.is_open("r")


def test_held_requests_are_bounded_and_the_oldest_is_opened_to_make_room() -> None:
    world = World(LADDER, MailboxPolicy(max_held=2), standby=True)
    world.token("new")
    for number in range(3):
        ask(world, f"r{number}", attempt=2)
    assert world.core.open_ids() == ("r0",)


def test_a_finishing_server_ends_what_is_open_repeats_it_and_takes_nothing_new() -> None:
    world = World(LADDER, MailboxPolicy())
    ask(world, "answered")
    world.score("answered", "champion")
    ask(world, "open")
    world.score("early", "champion")
    assert kinds(world.token("old")) == [Kind.FINISHING, Kind.HANDED_OVER]
    assert world.core.finishing
    assert kinds(ask(world, "new")) == kinds(world.score("new", "champion")) == [Kind.HANDED_OVER]
    assert kinds(ask(world, "answered", attempt=2)) == [Kind.HANDED_OVER], "the successor repeats that one"
    assert kinds(ask(world, "open", attempt=2)) == [Kind.DUPLICATE_REQUEST]
    world.score("open", "champion")
    assert kinds(ask(world, "open", attempt=3)) == [Kind.REPEATED_REQUEST]
    assert kinds(world.score("answered", "fast")) == [Kind.LATE_SCORE]
    world.advance(20 * SECOND)
    assert world.core.deadline() is None


def test_tokens_out_of_turn_are_named_and_change_nothing(successor: World) -> None:
    alone = World(LADDER, MailboxPolicy())
    for actions in (
        alone.token("new"),
        alone.predecessor_said(("r",), ()),
        alone.predecessor_gone(),
        successor.token("new"),
    ):
        assert kinds(actions) == [Kind.TOKEN_OUT_OF_TURN]
    assert kinds(ask(alone)) == []
    alone.token("old")
    assert kinds(alone.token("old")) == [Kind.TOKEN_OUT_OF_TURN]


def test_a_successor_hands_over_in_its_turn_with_what_it_still_held(successor: World) -> None:
    ask(successor, "held", attempt=2)
    assert kinds(successor.token("old")) == [Kind.FINISHING]
    assert successor.core.open_ids() == ("held",)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask again", "score", "decline", "time"]),
        st.integers(0, 7),
        st.integers(0, 900),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(before=STEPS, between=STEPS, after=STEPS, dies=st.booleans())
def test_over_a_hand_over_every_request_is_answered_once_by_one_of_the_two(
    before: list[tuple[str, int, int]],
    between: list[tuple[str, int, int]],
    after: list[tuple[str, int, int]],
    dies: bool,
) -> None:
    """Both read one stream with one token in it; the old one may die after it, and what it left open is asked again."""
    old, new = World(LADDER, MailboxPolicy()), World(LADDER, MailboxPolicy(), standby=True)
    asked: set[str] = set()
    alive = [old, new]

    def play(steps: list[tuple[str, int, int]], side: str) -> None:
        for what, number, ms in steps:
            for world in alive:
                if what == "ask":
                    fresh = f"{side}{number}"
                    world.request(fresh, deadline_ms=2000, attempt=2 if fresh in asked and world is new else 1)
                elif what == "ask again" and asked:
                    world.request(sorted(asked)[number % len(asked)], deadline_ms=2000, attempt=2)
                elif what in ("score", "decline") and asked:
                    getattr(world, what)(sorted(asked)[number % len(asked)], ("champion", "fast")[ms % 2])
                elif what == "time":
                    world.advance(ms * MS // (100 if side == "b" else 1))  # the old one speaks within a second
            if what == "ask":
                asked.add(f"{side}{number}")

    play(before, "a")
    at_token = old.core.open_ids()
    answered = tuple(old.answers)
    old.token("old")
    new.token("new")
    play(between, "b")
    new.predecessor_said(at_token, answered)
    if dies:
        alive.remove(old)
        lost = [request_id for request_id in at_token if request_id not in old.answers]
        new.predecessor_said((), tuple(old.answers))  # the journal is on disk, whatever became of its writer
        new.predecessor_gone()
        for request_id in lost:  # the requester has had no answer, so it asks again
            new.request(request_id, deadline_ms=2000, attempt=2)
    play(after, "c")
    for world in alive:
        world.advance(5 * SECOND)
    for request_id in asked:
        given_by = [world for world in (old, new) for _ in world.answers.get(request_id, [])]
        assert len(given_by) == 1, f"{request_id} was answered {len(given_by)} times"
