"""Bodies, query strings and headers made into questions, or refused."""

import base64
import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from PIL import Image

from roost_broker.clock import VirtualClock
from roost_broker.messages import Diagnostics, decode
from roost_rendezvous.proxy import requests
from roost_rendezvous.proxy.questions import Limits, Question, media_type, read, read_json, read_line, ref_of
from roost_rendezvous.proxy.refused import Refused

LIMITS = Limits(max_pixels=1_000_000, max_deadline_ms=60_000)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def refusal(work: Callable[[], object]) -> Refused | None:
    """What it was refused with, if it was."""
    try:
        work()
    except Refused as refused:
        return refused
    return None


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()


def test_a_picture_with_everything_that_may_stand_beside_it() -> None:
    question = read(
        PNG,
        "image/png; charset=binary",
        {"deadline_ms": "250", "tag.place": "door"},
        {"x-roost-tag-who": "me", "x-roost-tag-place": "window", "x-roost-diagnostics": '{"trace": true}'},
        LIMITS,
    )
    assert question.deadline_ms == 250
    assert question.tags == {"who": "me", "place": "door"}  # what the address says counts
    assert question.diagnostics == Diagnostics(trace=True)
    assert question.picture == ("image/png", 5, 4)


def test_json_with_everything() -> None:
    body = {"input": {"values": {"a": [1, {"b": None}]}}, "tags": {"t": "u"}, "deadlineMs": 9, "diagnostics": {}}
    question = read_json(json.dumps(body).encode(), LIMITS)
    assert question == Question(
        values={"a": [1, {"b": None}]}, tags={"t": "u"}, deadline_ms=9, diagnostics=Diagnostics()
    )


def test_an_inline_picture_is_measured_and_carries_its_bytes() -> None:
    question = read_line(json.dumps({"ref": "x", "input": {"inline": base64.b64encode(PNG).decode()}}).encode(), LIMITS)
    assert (question.data, question.ref, question.picture) == (PNG, "x", ("image/png", 5, 4))


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_question_or_refused_with_a_sentence(body: bytes) -> None:
    for reader in (read_json, read_line):
        refused = refusal(partial(reader, body, LIMITS))
        assert refused is None or (refused.status in (400, 413, 422) and refused.problem and refused.remedy)
    ref_of(body)


@given(
    st.fixed_dictionaries(
        {"input": st.fixed_dictionaries({}, optional={"values": anything, "inline": anything})},
        optional={"tags": anything, "deadlineMs": anything, "diagnostics": anything, "ref": anything},
    )
)
def test_whatever_is_read_becomes_a_message_that_every_reader_takes_or_is_refused(body: dict[str, Any]) -> None:
    clock, written = VirtualClock(), []

    def write() -> None:
        question = read_line(json.dumps(body).encode(), LIMITS)
        request = requests.write(
            question,
            None,
            id_=requests.request_id("nest", question, "key", clock.wall_ns()),
            return_address="roost/n/nest/results/proxy-http",
            deadline_ms=question.deadline_ms or 1,
            parent=None,
            clock=clock,
            node="n",
        )
        written.append(request)

    refused = refusal(write)
    assert bool(written) != bool(refused)
    assert refused is None or refused.status in (400, 413, 422)
    assert [decode(requests.encode(request)) for request in written] == written


@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=20)),
    st.dictionaries(st.text(max_size=20), st.text(max_size=20)),
)
def test_any_query_and_headers_are_understood_or_refused(query: dict[str, str], headers: dict[str, str]) -> None:
    named = {f"x-roost-tag-{name}": value for name, value in headers.items()}
    refused = refusal(lambda: read(PNG, "image/png", query, named, LIMITS))
    assert refused is None or refused.status in (400, 422)


@given(st.text(max_size=200))
def test_any_content_type_is_one_we_know_or_refused_with_those_we_know(text: str) -> None:
    refused = refusal(lambda: media_type(text))
    if refused is None:
        assert media_type(text) in ("image/jpeg", "image/png", "application/json")
    else:
        assert (refused.status, "image/jpeg" in refused.remedy) == (415, True)


def test_the_same_key_and_question_have_the_same_id_and_any_difference_another() -> None:
    question = Question(values={"a": 1, "b": 2}, tags={"t": "u"})
    one = requests.request_id("nest", question, "k", 1)
    assert one == requests.request_id("nest", question._replace(values={"b": 2, "a": 1}, deadline_ms=7), "k", 2)
    others = [
        requests.request_id("door", question, "k", 1),
        requests.request_id("nest", question, "l", 1),
        requests.request_id("nest", question._replace(values={"a": 1}), "k", 1),
        requests.request_id("nest", question._replace(tags={}), "k", 1),
        requests.request_id("nest", question, None, 1),
        requests.request_id("nest", question, None, 1),
    ]
    assert len({one, *others}) == 7


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\udcff"])
def test_an_odd_key_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="Idempotency-Key"):
        requests.request_id("nest", Question(values={}), key, 1)


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", True),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_trace_parent_is_taken_for_one(header: str | None, taken: bool) -> None:
    assert requests.trace_parent(header) == (header if taken else None)
