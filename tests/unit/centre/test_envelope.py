import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.centre import envelope as wire
from roost_broker.centre.envelope import Down, Envelope, down_headers_of, headers_of, parse, parse_down
from roost_broker.centre.lanes import LANE_NAMES
from roost_broker.errors import Malformed

ONE = Envelope(
    topic="roost/coop-1/henhouse/input",
    payload=b"{}",
    node="coop-1",
    outbox="ab" * 16,
    lane="inputs",
    seq=7,
    received_ms=1_800_000_000_000,
)


@given(
    st.builds(
        Envelope,
        topic=st.text(min_size=1, max_size=60),
        payload=st.binary(max_size=50),
        node=st.text(min_size=1, max_size=20),
        outbox=st.binary(min_size=16, max_size=16).map(bytes.hex),
        lane=st.sampled_from(LANE_NAMES),
        seq=st.integers(1, wire.MAX_SEQ),
        received_ms=st.integers(0, wire.MAX_SEQ),
        late_ms=st.none() | st.integers(0, wire.MAX_SEQ),
        retained=st.booleans(),
        gap=st.none(),
        stored_ms=st.just(0),
    )
)
def test_what_is_sent_is_what_is_read(one: Envelope) -> None:
    headers = headers_of(one)
    assert parse(headers, one.payload) == one
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()
        assert value.strip() == value


def test_ordinary_topics_can_be_read_by_people_in_the_headers() -> None:
    assert headers_of(ONE) == {
        "Nats-Msg-Id": f"coop-1:{'ab' * 16}:inputs:7",
        "Roost-Topic": "roost/coop-1/henhouse/input",
        "Roost-Node": "coop-1",
        "Roost-Outbox": "ab" * 16,
        "Roost-Lane": "inputs",
        "Roost-Seq": "7",
        "Roost-Received": "1800000000000",
    }


def test_a_gap_is_told_with_its_range() -> None:
    gap = replace(ONE, payload=b"", gap=(3, 7))
    assert headers_of(gap)["Roost-Gap"] == "3-7"
    assert parse(headers_of(gap), b"") == gap
    assert gap.first_seq == 3
    assert ONE.first_seq == 7


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("Roost-Topic", None, "Roost-Topic is missing"),
        ("Roost-Node", "", "Roost-Node is missing"),
        ("Roost-Outbox", "xyz", "32 hex"),
        ("Roost-Lane", "inputz", "no lane"),
        ("Roost-Seq", "0", "counts from 1"),
        ("Roost-Seq", "-1", "no number"),
        ("Roost-Seq", "1e3", "no number"),
        ("Roost-Seq", "9" * 16, "no number"),
        ("Roost-Seq", "9" * 5000, "no number"),
        ("Roost-Received", "soon", "no number"),
        ("Roost-Late-Ms", "x", "no number"),
        ("Roost-Gap", "3", "Roost-Gap"),
        ("Roost-Gap", "3-6", "Roost-Gap"),
        ("Roost-Gap", "0-7", "Roost-Gap"),
        ("Roost-Gap", "8-7", "Roost-Gap"),
    ],
)
def test_headers_that_no_gateway_sends_are_malformed_with_the_reason(
    header: str, value: str | None, reason: str
) -> None:
    headers = headers_of(ONE)
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    with pytest.raises(Malformed, match=reason):
        parse(headers, b"")


@pytest.mark.parametrize("headers", [None, {}])
def test_a_message_without_headers_is_malformed(headers: dict[str, str] | None) -> None:
    with pytest.raises(Malformed, match="without headers"):
        parse(headers, b"")
    with pytest.raises(Malformed, match="without headers"):
        parse_down(headers, b"")


@given(st.dictionaries(st.sampled_from([*headers_of(ONE), "Roost-Gap", "Roost-Late-Ms"]), st.text(max_size=30)))
def test_whatever_a_stranger_puts_into_headers_only_malformed_comes_of_it(headers: dict[str, str]) -> None:
    with contextlib.suppress(Malformed):
        parse(headers_of(ONE) | headers, b"")


@pytest.mark.parametrize("retained", [False, True])
def test_what_goes_down_is_what_arrives(retained: bool) -> None:
    down = Down("roost/coop-1/request/ota", b"{}", "id-1", retained=retained)
    assert parse_down(down_headers_of(down), b"{}") == down


def test_a_retained_message_down_replaces_those_before_it() -> None:
    assert down_headers_of(Down("t", b"", "i", retained=True))["Nats-Rollup"] == "sub"
    assert "Nats-Rollup" not in down_headers_of(Down("t", b"", "i"))


def test_when_it_was_stored_does_not_tell_messages_apart() -> None:
    assert parse(headers_of(ONE), ONE.payload, 5) == ONE
    assert parse(headers_of(ONE), ONE.payload, 5).stored_ms == 5
