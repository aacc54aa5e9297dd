"""The conductor of a hand-over: what it may do when, whatever roles say and however long everything takes."""

from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SECOND
from roost_rendezvous.handover import words
from roost_rendezvous.handover.conductor import (
    Action,
    Conductor,
    Ended,
    Event,
    ForgetSession,
    GivenUp,
    HandoverPolicy,
    NotRemoved,
    NotStarted,
    Phase,
    Remove,
    Removed,
    RoleSaid,
    SendToken,
    StartSuccessor,
)

ID, OLD, NEW = "a" * 32, "rendezvous-nest", "rendezvous-nest-b"
DETAILS = (
    *("", words.STANDBY, words.has_snapshot(ID), words.has_snapshot("b" * 32), words.no_snapshot("it is odd")),
    *(words.in_charge(ID), words.finishing(ID)),
)
EVENTS = st.one_of(
    st.builds(
        RoleSaid,
        st.sampled_from((OLD, NEW)),
        st.sampled_from(("starting", "ready", "stopped", "gone", "failed")),
        st.integers(1, 3),
        st.sampled_from(DETAILS),
    ),
    st.builds(Removed, st.sampled_from((OLD, NEW))),
    st.builds(NotRemoved, st.sampled_from((OLD, NEW))),
    st.just(NotStarted("no room")),
    st.just(GivenUp()),
)
LONGEST = sum(getattr(HandoverPolicy(), name) for name in HandoverPolicy.__slots__)


def play(steps: list[tuple[Event, int]]) -> list[tuple[Event | None, Action]]:
    """All actions with the event that brought each about, to the very end of all waits."""
    conductor, now = Conductor(ID, OLD, NEW), 0
    conductor.begin(now)
    done: list[tuple[Event | None, Action]] = []
    for event, wait_ns in steps:
        now += wait_ns
        done += [(event, action) for action in conductor.handle(event, now)]
    end = now + 2 * LONGEST
    while (deadline := conductor.deadline()) is not None:
        assert deadline <= end, "it waits for ever"
        done += [(None, action) for action in conductor.expire(max(now, deadline))]
    assert conductor.phase is Phase.ENDED
    return done


@given(st.lists(st.tuples(EVENTS, st.integers(0, 20 * SECOND)), max_size=30))
def test_whatever_is_said_it_ends_once_and_keeps_its_rules(steps: list[tuple[Event, int]]) -> None:
    done = play(steps)
    actions = [action for _, action in done]
    kinds = [action.kind for action in actions if isinstance(action, SendToken)]
    assert kinds in ([], ["snapshot"], ["snapshot", "transition"])
    assert sum(isinstance(action, StartSuccessor) for action in actions) <= 1
    assert sum(isinstance(action, Ended) for action in actions) == 1
    assert isinstance(actions[-1], Ended)
    [ended] = [action for action in actions if isinstance(action, Ended)]
    touched = {action.role for action in actions if isinstance(action, Remove | ForgetSession)}
    if "transition" in kinds:
        assert touched <= {OLD}, "after the token the successor is never touched"
        assert ended.in_charge == NEW
        [cause] = [event for event, action in done if isinstance(action, SendToken) and action.kind == "transition"]
        assert cause is not None
        assert isinstance(cause, RoleSaid)
        assert (cause.role, cause.detail) == (NEW, words.has_snapshot(ID))
    else:
        assert touched <= {NEW}, "before the token the old one is never touched"
        assert (ended.done, ended.in_charge) == (False, OLD)
    if ended.done:
        assert ForgetSession(OLD) in actions
    else:
        assert ended.problem


def said(role: str, state: str, detail: str = "", session: int = 1) -> RoleSaid:
    return RoleSaid(role, state, session, detail)


GOOD: list[tuple[Event, int]] = [
    (said(OLD, "ready"), 0),
    (said(NEW, "stopped", session=4), 0),
    (said(NEW, "starting", session=5), SECOND),
    (said(NEW, "ready", words.STANDBY, session=5), SECOND),
    (said(NEW, "ready", words.has_snapshot(ID), session=5), SECOND),
    (said(OLD, "ready", words.finishing(ID)), SECOND),
    (said(NEW, "ready", words.in_charge(ID), session=5), SECOND),
    (said(OLD, "stopped"), SECOND),
    (Removed(OLD), SECOND),
]


def test_a_hand_over_goes_through_all_its_steps_in_order() -> None:
    actions = [action for _, action in play(GOOD)]
    assert [action for action in actions if not hasattr(action, "text")] == [
        StartSuccessor(NEW),
        SendToken("snapshot"),
        SendToken("transition"),
        Remove(OLD),
        ForgetSession(OLD),
        Ended(done=True, in_charge=NEW),
    ]


def test_a_successor_that_somebody_started_by_hand_is_used() -> None:
    steps = [(said(OLD, "ready"), 0), (said(NEW, "ready", words.STANDBY, session=5), 0), *GOOD[4:]]
    actions = [action for _, action in play(steps)]
    # Retained states are waited for a moment; what stands by then is not started again.
    assert StartSuccessor(NEW) not in actions


def test_what_an_earlier_process_of_the_successor_said_is_no_news() -> None:
    steps: list[tuple[Event, int]] = [
        (said(OLD, "ready"), 0),
        (said(NEW, "gone", session=4), 0),
        (said(NEW, "ready", words.STANDBY, session=4), SECOND),  # late, from the session before
    ]
    actions = [action for _, action in play(steps)]
    assert SendToken("snapshot") not in actions


def test_an_old_one_that_never_ends_is_ended() -> None:
    actions = [action for _, action in play([*GOOD[:7], (said(OLD, "ready", words.finishing(ID)), 61 * SECOND)])]
    assert Remove(OLD) in actions
    [ended] = [action for action in actions if isinstance(action, Ended)]
    assert (ended.done, ended.in_charge) == (False, NEW)
    assert "could not be ended" in ended.problem


def test_nobody_in_charge_is_said_with_what_to_do() -> None:
    [(_, ended)] = play([])
    assert isinstance(ended, Ended)
    assert "has never been heard of" in ended.problem
    assert ended.remedy == "Start the device."
