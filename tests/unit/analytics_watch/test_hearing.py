"""Messages of the flow as observations: cut, bounded, and the same after a time on the card."""

import hashlib
from typing import Any

import pytest

from roost_broker.messages import (
    Event,
    Hop,
    Input,
    Issued,
    Output,
    Provenance,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    Usage,
)
from roost_rendezvous.analytics.watch.hearing import MOST_FIELDS, flat, observe
from roost_rendezvous.analytics.watch.observed import Asked, Marked, Said, Standing, pack, unpack

HEAD: dict[str, Any] = {"timestamp": 5, "message_id": "0" * 32}


def request(**more: Any) -> Request:
    return Request(**HEAD, request_id="1" * 32, return_address="a", deadline_ms=9, input=Input(), **more)


def test_a_request_tells_its_age_by_the_clock_of_its_own_boot_alone() -> None:
    issued = Issued(boot="a" * 32, seq=1, monotonic_ns=400)
    heard = [observe(request(issued=issued), "t", 7, boot=boot, monotonic=1_000) for boot in ("a" * 32, "b" * 32)]
    assert [one.issued_ago for one in heard if isinstance(one, Asked)] == [600, -1]


def test_nested_values_get_dotted_names_and_what_is_no_number_is_missing() -> None:
    values = {"picture": {"sharpness": 3}, "on": True, "odd": float("nan"), "list": [1], "gone": None}
    assert dict(flat(values)) == {"picture.sharpness": 3.0, "on": True, "odd": None, "list": "list", "gone": None}


def test_however_much_a_stranger_sends_only_so_much_is_kept() -> None:
    state = {f"field-{number}": "x" * 1_000 for number in range(500)}
    one = observe(request(state=state, tags={f"t{n}": "y" for n in range(500)}), "t", 7, payload=b"body")
    assert isinstance(one, Asked)
    assert len(one.state) == len(one.tags) == MOST_FIELDS
    assert max(len(str(value)) for value in one.state.values()) == 200
    assert one.saw == hashlib.sha256(b"body").hexdigest()


def test_a_score_that_is_no_number_is_left_out() -> None:
    outputs = [Output(label="hen", score=0.5), Output(label="jay", score=float("inf"))]
    one = observe(Score(**HEAD, request_id="1" * 32, model="m", version="1", outputs=outputs), "t", 7)
    assert isinstance(one, Said)
    assert one.scores == {"hen": 0.5}


@pytest.mark.parametrize(
    ("kind", "component", "data", "marks"),
    [
        ("schedule-applied", "rendezvous", {"task": "t"}, True),
        ("rollout-step", "somebody", {}, True),
        ("serving", "ota", {"task": "t", "model": "champion"}, True),
        ("serving", "somebody", {"task": "t", "model": "champion"}, False),
        ("schedule-refused", "rendezvous", {"task": "t"}, False),
    ],
)
def test_what_was_done_on_purpose_is_marked_and_other_events_are_not(
    kind: str, component: str, data: dict[str, Any], marks: bool
) -> None:
    provenance = Provenance(path=[Hop(node="n", component=component)])
    event = Event(**HEAD, provenance=provenance, kind=kind, detail="why", data=data)
    one = observe(event, "", 7)
    assert isinstance(one, Marked) is marks


def test_what_waits_on_the_card_comes_back_as_it_was() -> None:
    usage = Usage(cpu_ms=5, memory_bytes=6)
    state = RoleState(**HEAD, role="gateway", state="ready", session=3, usage=usage, counts={"sent": 1})
    result = Result(**HEAD, request_id="1" * 32, cause="fallback", elapsed_ms=5.0, sla_ms=9)
    for message in (request(tags={"camera": "nest"}), state, result):
        one = observe(message, "t", 7)
        assert one is not None
        assert unpack(pack(one)) == one
    assert isinstance(observe(state, "t", 7), Standing)


def test_what_is_of_no_use_to_the_watch_is_nothing() -> None:
    assert observe(ScheduleSet(**HEAD, task="t", version="1", schedule={}), "t", 7) is None
