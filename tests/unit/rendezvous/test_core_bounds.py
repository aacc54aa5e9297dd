"""Replicas of a model, and bounds by bytes."""

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.mailbox.actions import Action, Answer, Kind, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.early import EarlyWords
from roost_rendezvous.mailbox.events import ModelGone, ModelUp, RequestArrived, ScoreArrived
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.mailbox.roster import MAX_REPLICAS, Roster
from roost_rendezvous.schedule import Default, Schedule, Step

LADDER = Schedule(
    task="henhouse",
    sla_ms=2000,
    steps=(Step(after_ms=0, accept=("champion",)), Step(after_ms=600, accept=("champion", "fast"))),
    default=Default(after_ms=1900, label="unknown"),
)


def kinds(actions: tuple[Action, ...]) -> list[Kind]:
    return [action.kind for action in actions if isinstance(action, Noted)]


def a_request(request_id: str, size: int = 0) -> RequestArrived:
    return RequestArrived(message_id="m", request_id=request_id, opened_ns=0, deadline_ms=2000, size=size)


def a_score(request_id: str, model: str = "champion", size: int = 0) -> ScoreArrived:
    return ScoreArrived(message_id="m", request_id=request_id, model=model, size=size)


def up(replica: int, session: int = 1) -> ModelUp:
    return ModelUp(message_id="m", model="champion", replica=replica, session=session, version=f"v{replica}")


def gone(replica: int, session: int = 1) -> ModelGone:
    return ModelGone(message_id="m", model="champion", replica=replica, session=session, reason="stopped")


def test_a_model_is_gone_when_the_last_of_its_replicas_is() -> None:
    core = Rendezvous(LADDER)
    for event in (up(1), up(2), a_request("r"), a_score("r", "fast")):
        core.handle(event, 0)
    assert core.handle(gone(1), 1) == ()
    assert [type(action) for action in core.handle(gone(2), 2)] == [Answer]


def test_a_replica_that_returns_brings_its_model_back() -> None:
    core = Rendezvous(LADDER)
    for event in (gone(1), gone(2), up(2, session=2), a_request("r")):
        core.handle(event, 0)
    assert core.handle(a_score("r", "fast"), 0) == ()


def test_sessions_are_counted_by_each_replica_on_its_own() -> None:
    core = Rendezvous(LADDER)
    core.handle(up(1, session=9), 0)
    core.handle(up(2, session=2), 0)
    assert kinds(core.handle(gone(1, session=8), 0)) == [Kind.STALE_STATE]
    assert kinds(core.handle(gone(2, session=2), 0)) == []


def test_the_roster_speaks_with_the_voice_of_a_replica_that_is_up() -> None:
    roster = Roster(4)
    for state in (up(1), up(2), gone(2)):
        roster.note(state)
    known = roster.get("champion")
    assert known is not None
    assert (known.up, known.version, known.reason) == (True, "v1", "")


def test_replicas_of_one_model_are_bounded_and_gone_ones_make_room() -> None:
    roster = Roster(4)
    assert {roster.note(up(number)) for number in range(MAX_REPLICAS)} == {"taken"}
    assert roster.note(up(1000)) == "full"
    roster.note(gone(3))
    assert roster.note(up(1000)) == "taken"


def test_early_words_are_bounded_by_bytes_and_the_oldest_make_room() -> None:
    core = Rendezvous(LADDER, MailboxPolicy(max_early_bytes=250))
    core.handle(a_score("r1", size=100), 0)
    core.handle(a_score("r2", size=100), 0)
    dropped = core.handle(a_score("r3", size=100), 0)
    assert [(n.kind, n.request_id) for n in dropped if isinstance(n, Noted)][1:] == [(Kind.STRANGER, "r1")]
    assert [type(action) for action in core.handle(a_request("r2"), 0)] == [Answer]
    assert kinds(core.handle(a_score("r4", size=100), 0)) == [Kind.EARLY_WORD], "what was taken makes room"


def test_one_early_word_has_room_whatever_its_size() -> None:
    early = EarlyWords(10, 5, 100)
    assert early.hold(a_score("r", size=1000), 0) == []
    assert early.expire(100) == [a_score("r", size=1000)]
    assert (len(early), early.next_ns > 100) == (0, True)


def test_open_mailboxes_are_bounded_by_bytes_and_an_answer_makes_room() -> None:
    core = Rendezvous(LADDER, MailboxPolicy(max_open_bytes=250))
    core.handle(a_request("r1", 100), 0)
    core.handle(a_request("r2", 100), 0)
    assert kinds(core.handle(a_request("r3", 100), 0)) == [Kind.OVER_CAPACITY]
    core.handle(a_score("r1", size=50), 0)
    assert kinds(core.handle(a_request("r4", 100), 0)) == []


def test_only_the_best_answer_of_a_mailbox_counts_its_bytes() -> None:
    core = Rendezvous(LADDER, MailboxPolicy(max_open_bytes=250))
    core.handle(a_request("r1", 100), 0)
    core.handle(a_score("r1", "fast", size=90), 0)
    core.handle(a_score("r1", "unlisted", size=90), 0)
    assert kinds(core.handle(a_request("r2", 60), 0)) == []
    assert kinds(core.handle(a_request("r3", 1), 0)) == [Kind.OVER_CAPACITY]


@pytest.mark.parametrize("bad", [{"max_open_bytes": 0}, {"max_early_bytes": -1}, {"max_held": 0}, {"hold_ns": -1}])
def test_a_bound_that_cannot_be_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        MailboxPolicy(**bad)
