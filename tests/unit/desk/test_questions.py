import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import VirtualClock
from roost_broker.errors import Malformed
from roost_broker.headers import new_header
from roost_broker.messages import Ask, OtaOrder, encode
from roost_broker.topics import NodeTopics
from roost_edge.desk.examination import fitted
from roost_edge.desk.questions import Question, question, usable

DEVICE = NodeTopics("coop-1", "farm/roost")
HEAD = new_header(VirtualClock(), "coop-1", "test")._asdict()


def asked(payload: bytes, verb: str = "doctor", **rim: object) -> Question:
    return question(Delivery(DEVICE.request(verb), payload, **rim), verb, DEVICE)


def test_a_question_brings_its_transaction_and_what_it_wants_to_know_alone() -> None:
    ask = Ask(**HEAD, verb="doctor", transaction="7", data={"only": ["storage", "camera"], "future": 1})
    assert asked(encode(ask)) == Question("doctor", "7", ("storage", "camera"))


@pytest.mark.parametrize("nothing", [b"", b" \n"])
def test_an_empty_message_asks_too(nothing: bytes) -> None:
    assert asked(nothing, "info") == Question("info")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "Not a Roost message"),
        (b'{"schema": "roost.ask/1"}', "Not a Roost message"),
        (encode(Ask(**HEAD, verb="info")), "asks for 'info' on the topic of 'doctor'"),
        (encode(OtaOrder(**HEAD, do="check")), "OtaOrder"),
        (encode(Ask(**HEAD, verb="doctor", data={"only": "storage"})), "no list of names"),
        (encode(Ask(**HEAD, verb="doctor", data={"only": [1]})), "no list of names"),
        (encode(Ask(**HEAD, verb="doctor", data={"only": ["x"] * 65})), "no list of names"),
    ],
)
def test_what_is_no_question_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        asked(payload)


@pytest.mark.parametrize(
    ("topic", "used"),
    [
        ("homeassistant/answers/1", True),
        ("farm/roost/coop-1/response/mine", True),
        ("farm/roosters", True),
        ("farm/roost/coop-1/nest/schedule", False),
        ("farm/roost/coop-2/response/doctor", False),
        ("farm/roost", False),
        ("$SYS/broker", False),
        ("a/+/b", False),
        ("", False),
        (None, False),
    ],
)
def test_the_desk_is_not_talked_into_publishing_into_roosts_own_tree(topic: str | None, used: bool) -> None:
    assert usable(topic, DEVICE) == (topic if used else "")
    found = asked(b"", response_topic=topic, correlation_data=b"\x00\xff")
    assert (found.back, found.correlation) == (topic if used else "", b"\x00\xff")


def test_a_report_that_is_too_large_for_a_message_leaves_out_its_figures_and_keeps_its_verdicts() -> None:
    check = {"name": "x", "status": "fail", "found": "f" * 900, "remedy": "r" * 900, "facts": {"n": 1}}
    small = {"ok": False, "checks": [check]}
    assert fitted(small) == small
    large = fitted({"ok": False, "checks": [check] * 100})
    assert len(large["checks"]) == 100
    assert large["checks"][0] == {**check, "found": "f" * 200, "remedy": "r" * 200, "facts": {}}
    well = {**check, "status": "ok"}
    crowd = fitted({"ok": False, "checks": [well] * 300 + [check] * 10})
    assert [one["status"] for one in crowd["checks"]] == ["fail"] * 10
