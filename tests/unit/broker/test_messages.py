import contextlib
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roost_broker.errors import Malformed
from roost_broker.messages import (
    MAX_BYTES,
    MAX_DEPTH,
    Event,
    Input,
    Issued,
    Request,
    Result,
    decode,
    encode,
    with_fields,
)

ID = "0" * 32


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "timestamp": 1,
        "message_id": ID,
        "request_id": ID,
        "return_address": "roost/coop/henhouse/results/nest",
        "deadline_ms": 2000,
        "input": Input(values={"x": 1}),
    }
    return Request(**{**values, **changes})


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def test_a_message_survives_encoding_and_names_its_schema() -> None:
    message = request(tags={"camera": "nest"}, state={"door": "open"})
    payload = encode(message)
    assert json.loads(payload)["schema"] == "roost.request/1"
    assert json.loads(payload)["requestId"] == ID
    assert decode(payload) == message


def test_a_message_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    empty = len(encode(Event(timestamp=1, message_id=ID, kind="k", data={"x": ""})))
    fits = Event(timestamp=1, message_id=ID, kind="k", data={"x": "y" * (MAX_BYTES - empty)})
    assert decode(encode(fits)) == fits
    with pytest.raises(Malformed, match="over the limit"):
        encode(Event(timestamp=1, message_id=ID, kind="k", data={"x": "y" * (MAX_BYTES - empty + 1)}))
    with pytest.raises(Malformed, match="over the limit"):
        decode(encode(fits) + b" ")


def test_nesting_of_the_limit_is_read_and_one_level_more_is_not() -> None:
    # The message's own object and `state` are two levels.
    assert decode(encode(request(state={"a": nested(MAX_DEPTH - 2)})))
    with pytest.raises(Malformed, match="deeper"):
        decode(encode(request(state={"a": nested(MAX_DEPTH - 1)})))


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    message = request(tags={"note": "[[[[[[{{{{{{" * 5 + '"\\'})
    assert decode(encode(message)) == message


def test_bottomless_nesting_is_refused_before_it_is_parsed() -> None:
    for bomb in (b"[" * 50_000, b'{"a":' * 20_000, b"[" * 50_000 + b"]" * 50_000 + b"", b'{"a":"' + b"[" * 90_000):
        with pytest.raises(Malformed):
            decode(bomb)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requestId", "short"),
        ("requestId", "G" * 32),
        ("deadlineMs", 0),
        ("deadlineMs", 3_600_001),
        ("deadlineMs", "soon"),
        ("returnAddress", ""),
        ("returnAddress", "x" * 501),
        ("tags", {"a": "x" * 1001}),
        ("timestamp", -1),
        ("schema", "roost.unheard-of/1"),
        ("input", None),
    ],
)
def test_a_field_outside_its_bounds_is_malformed(field: str, value: object) -> None:
    with pytest.raises(Malformed, match="Not a Roost message"):
        decode(with_fields(encode(request()), **{field: value}))


def test_a_missing_field_is_malformed_and_named() -> None:
    loose = json.loads(encode(request()))
    del loose["returnAddress"]
    with pytest.raises(Malformed, match="returnAddress"):
        decode(json.dumps(loose).encode())


def test_unknown_fields_are_read_over_and_kept_when_a_message_is_passed_on() -> None:
    payload = with_fields(encode(request()), colourOfTheFuture="teal")
    assert decode(payload) == request()
    passed_on = with_fields(payload, messageId="1" * 32)
    assert json.loads(passed_on)["colourOfTheFuture"] == "teal"
    read = decode(passed_on)
    assert isinstance(read, Request)
    assert read.message_id == "1" * 32


def test_optional_fields_that_say_nothing_are_left_out_on_the_wire() -> None:
    on_the_wire = json.loads(encode(request()))
    assert not {"diagnostics", "issued", "tags", "state"} & on_the_wire.keys()
    assert on_the_wire["input"] == {"values": {"x": 1}}


@settings(max_examples=300)
@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xfe")
@example(b'{"schema":"roost.request/1"}')
@example(b'{"schema":1}')
@example(b'{"schema":null}')
@example(b"null")
@example(b'"\\ud800"')
def test_whatever_bytes_arrive_decode_raises_malformed_or_nothing(payload: bytes) -> None:
    with contextlib.suppress(Malformed):
        decode(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.sampled_from([*json.loads(encode(request())), "state", "issued", "diagnostics", "provenance", "tags"]), JSON)
def test_whatever_stands_in_a_field_decode_raises_malformed_or_nothing(field: str, value: object) -> None:
    loose = {**json.loads(encode(request())), field: value}
    payload = json.dumps(loose).encode("utf-8", "surrogatepass")
    try:
        message = decode(payload)
    except Malformed:
        return
    # What was read can be written and read again.
    assert encode(message)


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=50), max_size=5), st.integers(0, 2**53))
def test_any_request_survives_encoding(tags: dict[str, str], timestamp: int) -> None:
    message = request(tags=tags, timestamp=timestamp)
    assert decode(encode(message)) == message


def test_numbers_that_json_cannot_carry_are_malformed() -> None:
    payload = encode(Result(timestamp=1, message_id=ID, request_id=ID, cause="default", elapsed_ms=1.0, sla_ms=1))
    assert msgspec.json.decode(payload)["elapsedMs"] == 1.0
    for number in (b"NaN", b"Infinity", b"-1", b"1e999"):
        with pytest.raises(Malformed):
            decode(payload.replace(b'"elapsedMs":1.0', b'"elapsedMs":' + number))


@pytest.mark.parametrize("field", ["messageId", "requestId"])
def test_an_id_with_a_line_break_behind_it_is_no_id(field: str) -> None:
    # `$` alone would let it through, and a log line or a topic would then be two.
    with pytest.raises(Malformed, match="regex"):
        decode(with_fields(encode(request()), **{field: ID + "\n"}))


@pytest.mark.parametrize(
    "bomb",
    [
        b"{" * 13 + b'"' + b'\\"' * 49_000,
        b"[" * 13 + b'"\\' * 49_000,
        b"[" * 13 + b'"a' * 49_000,
        b"[" * 13 + b'"' * 99_001,
    ],
    ids=["escaped quotes", "open quotes with escapes", "quotes", "one quote too many"],
)
def test_an_endless_string_is_refused_as_quickly_as_any_other_rubbish(bomb: bytes) -> None:
    # Processor time, not the wall's; with a scan that tries anything twice it was 30 s and more.
    began = time.process_time()
    with pytest.raises(Malformed):
        decode(bomb)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("path", [("timestamp",), ("issued", "seq"), ("issued", "monotonicNs"), ("issued", "attempt")])
def test_a_number_that_no_database_keeps_is_malformed(path: tuple[str, ...]) -> None:
    loose = json.loads(encode(request(issued=Issued(boot=ID, seq=1, monotonic_ns=1))))
    *outer, last = path
    place = loose[outer[0]] if outer else loose
    place[last] = 2**63 - 1
    assert decode(json.dumps(loose).encode())
    place[last] = 2**63
    with pytest.raises(Malformed, match="Not a Roost message"):
        decode(json.dumps(loose).encode())
