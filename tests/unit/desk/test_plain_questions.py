"""Questions of programs that know nothing of our messages: a plain JSON object."""

import pytest

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed
from roost_broker.topics import NodeTopics
from roost_edge.desk.questions import question

DEVICE = NodeTopics("coop-1")


def test_a_plain_object_is_a_question_with_its_transaction_and_the_rest_is_what_the_verb_takes() -> None:
    asked = question(Delivery("t", b'{"transaction": "t-1", "only": ["storage"], "camera": "nest"}'), "doctor", DEVICE)
    assert (asked.verb, asked.transaction, asked.only) == ("doctor", "t-1", ("storage",))
    assert asked.data == {"only": ["storage"], "camera": "nest"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"transaction": 1}',
        b'{"transaction": "%s"}' % (b"x" * 1_001),
        b'{"only": "storage"}',
        b"[]",
        b'"doctor"',
        b'{"schema": "roost.ask/2"}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'{"a": "%s"}' % (b"x" * 100_001),
    ],
)
def test_what_is_none_says_why(payload: bytes) -> None:
    with pytest.raises(Malformed):
        question(Delivery("t", payload), "doctor", DEVICE)
