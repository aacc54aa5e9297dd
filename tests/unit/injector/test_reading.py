from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.messages import MAX_DEPTH, decode, encode
from roost_rendezvous.injector.reading import MAX_BYTES, Unreadable, compute, encoded, read
from roost_rendezvous.injector.settings import StateValue

NOON_UTC = 1_718_884_800 * 1_000_000_000  # Thursday 2024-06-20 12:00 UTC


def rule(**fields: Any) -> StateValue:
    return StateValue(topic="a/b", **fields)


@pytest.mark.parametrize(
    ("data", "fields", "value"),
    [
        (b"21.5\n", {}, 21.5),
        (b"open", {}, "open"),
        (b'"open"', {"type": "text"}, "open"),
        (b"12", {"type": "text"}, "12"),
        (b'{"contact":false}', {"pointer": "/contact", "type": "bool"}, False),
        (b'{"a/b":{"~":[7,8]}}', {"pointer": "/a~1b/~0/1"}, 8),
        (b'{"state":"ON"}', {"pointer": "/state", "type": "bool"}, True),
        (b"off", {"type": "bool"}, False),
        (b"1", {"type": "bool"}, True),
        (b"48312\n", {"type": "number", "scale": 0.001}, 48.312),
        (b'"21.5"', {"type": "number", "offset": 273.15}, 294.65),
        (b'{"a":[1,{"b":2}]}', {}, {"a": [1, {"b": 2}]}),
    ],
)
def test_a_value_is_found_in_text_and_in_json(data: bytes, fields: dict[str, Any], value: object) -> None:
    found = read(data, rule(**fields))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("data", "fields", "why"),
    [
        (b"", {}, "empty"),
        (b"null", {}, "empty"),
        (b"\xff", {}, "UTF-8"),
        (b"warm", {"type": "number"}, "no number"),
        (b"true", {"type": "number"}, "no number"),
        (b"nan", {"type": "number"}, "no number"),
        (b"inf", {"type": "number"}, "no number"),
        (b"1e300", {"type": "number"}, "no number"),
        (b"ajar", {"type": "bool"}, "neither true nor false"),
        (b'{"a":1}', {"pointer": "/a", "type": "text"}, "no text"),
        (b'{"a":1}', {"pointer": "/b"}, "nothing at /b"),
        (b"[1]", {"pointer": "/7"}, "nothing at /7"),
        (b"[1]", {"pointer": "/-1"}, "nothing at"),
        (b"open", {"pointer": "/a"}, "not JSON"),
        (b"x" * (MAX_BYTES + 1), {}, "over the limit"),
    ],
)
def test_what_is_no_such_value_is_refused_with_the_reason(data: bytes, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(data, rule(**fields))


def test_a_value_too_large_or_too_deep_for_a_request_is_refused() -> None:
    with pytest.raises(Unreadable, match="max_bytes = 10"):
        encoded("x" * 20, rule(max_bytes=10))
    assert encoded([[[[[]]]]], rule()) == b"[[[[[]]]]]"
    with pytest.raises(Unreadable, match="deeper"):
        encoded([[[[[[]]]]]], rule())


@given(st.binary(max_size=200), st.sampled_from(["any", "number", "text", "bool"]))
def test_whatever_bytes_arrive_the_value_fits_into_a_message_or_is_refused(data: bytes, kind: str) -> None:
    from roost_broker.messages import InjectedState, InjectedValue

    wanted = rule(type=kind)
    try:
        value = read(data, wanted)
        encoded(value, wanted)
    except Unreadable:
        return
    inside = InjectedValue(value=value, condition="fresh")
    message = InjectedState(timestamp=1, message_id="0" * 32, task="t", role="r", values={"v": inside})
    assert decode(encode(message)) == message
    assert MAX_DEPTH > 5


def test_hour_and_weekday_are_those_of_local_time() -> None:
    hour, weekday = StateValue(computed="hour"), StateValue(computed="weekday")
    assert (compute(hour, NOON_UTC, 0), compute(weekday, NOON_UTC, 0)) == (12, 4)
    assert (compute(hour, NOON_UTC, 13 * 3600), compute(weekday, NOON_UTC, 13 * 3600)) == (1, 5)
    assert (compute(hour, NOON_UTC, -12 * 3600 - 1), compute(weekday, NOON_UTC, -12 * 3600 - 1)) == (23, 3)


def test_daylight_is_that_of_the_place() -> None:
    def at(latitude: float, longitude: float) -> object:
        return compute(StateValue(computed="daylight", latitude=latitude, longitude=longitude), NOON_UTC, 0)

    assert (at(52, 13), at(52, -167)) == ("day", "night")
    sun = StateValue(computed="sun-elevation", latitude=0.0, longitude=0.0)
    assert compute(sun, NOON_UTC, 0) == pytest.approx(66.6, abs=0.2)
