"""Deliveries made into events: what the core is told of requests, scores and states."""

import pytest

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed
from roost_broker.messages import Input, Issued, Message, ModelState, Output, Request, Score, encode
from roost_broker.topics import NodeTopics, TaskTopics
from roost_rendezvous.mailbox.events import ModelGone, ModelUp, ScoreArrived
from roost_rendezvous.server import reading
from roost_rendezvous.server.results import Asked

ID = "0" * 31 + "1"
BOOT = "b" * 32
TOPICS = TaskTopics(NodeTopics("n"), "nest")


def delivered(topic: str, message: Message | None) -> Delivery:
    return Delivery(topic=topic, payload=b"" if message is None else encode(message))


def test_a_request_is_told_with_its_tags_its_attempt_and_its_size() -> None:
    request = Request(
        timestamp=1,
        message_id=ID,
        request_id=ID,
        return_address="roost/n/nest/results/door",
        deadline_ms=2000,
        issued=Issued(boot=BOOT, seq=1, monotonic_ns=7, attempt=3),
        tags={"camera": "door"},
        input=Input(values={"x": 1}),
    )
    asked = reading.read_input(delivered(TOPICS.input, request), TOPICS)
    assert isinstance(asked, Asked)
    event = reading.to_event(asked, BOOT, 9, None)
    assert (event.tags, event.attempt, event.opened_ns) == ({"camera": "door"}, 3, 7)
    assert event.size == len(encode(request))


def test_a_score_is_told_with_its_size() -> None:
    score = Score(
        timestamp=1, message_id=ID, request_id=ID, model="fast", version="1", outputs=[Output(label="hen", score=1.0)]
    )
    word = reading.read_word(delivered(TOPICS.scores("fast"), score))
    assert isinstance(word, ScoreArrived)
    assert word.size == len(encode(score))


def state(model: str, replica: int, says: str = "ready") -> ModelState:
    return ModelState(timestamp=1, message_id=ID, model=model, state=says, session=4, replica=replica)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize("replica", [0, 1, 12])
def test_a_state_is_told_with_the_replica_of_its_topic(replica: int) -> None:
    topic = TOPICS.model_state("fast", replica)
    up = reading.read_state(delivered(topic, state("fast", replica)))
    gone = reading.read_state(delivered(topic, state("fast", replica, "gone")))
    removed = reading.read_state(delivered(topic, None))
    assert [(event.model, event.replica) for event in (up, gone, removed)] == [("fast", replica)] * 3
    assert (type(up), type(gone), type(removed)) == (ModelUp, ModelGone, ModelGone)


@pytest.mark.parametrize("level", ["x", "-1", "99999", "²"])
def test_a_state_topic_that_names_no_replica_is_refused(level: str) -> None:
    with pytest.raises(Malformed, match="replica"):
        reading.read_state(delivered(f"{TOPICS.model_state('fast')}/{level}", state("fast", 0)))


def test_a_replica_that_speaks_on_anothers_topic_is_refused() -> None:
    with pytest.raises(Malformed, match="replica 2"):
        reading.read_state(delivered(TOPICS.model_state("fast", 1), state("fast", 2)))
