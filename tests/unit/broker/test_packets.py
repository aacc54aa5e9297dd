"""Reading and writing the three packets, against the bytes of MQTT 5.0 and against paho's own encoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.enums import MQTTProtocolVersion

from roost_broker.packets import Acknowledged, Published, Unread, puback, publish, read

TOPICS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=200)
PAYLOADS = st.one_of(
    st.binary(max_size=300), st.integers(0, 20_000).map(bytes), st.sampled_from([bytes(2_097_140), bytes(127)])
)


@given(TOPICS, PAYLOADS, st.integers(0, 65_535), st.booleans(), st.booleans())
def test_what_is_written_is_read_back_and_the_next_packet_begins_behind_it(
    topic: str, payload: bytes, packet_id: int, retain: bool, again: bool
) -> None:
    packet = publish(topic.encode(), payload, packet_id, retain, again=again)
    if len(packet) > 1_000_000:
        assert read(packet, 0) == (Published(topic.encode(), payload, packet_id, retain, again), len(packet))
        assert read(packet[:100], 0) == (Unread.OTHER, len(packet))  # not waited for
        return
    found, end = read(b"before" + packet + b"behind", 6)
    assert found == Published(topic.encode(), payload, packet_id, retain, again)
    assert end == 6 + len(packet)


@given(TOPICS, st.binary(max_size=200), st.integers(0, 65_535), st.data())
def test_a_packet_cut_anywhere_is_waited_for(topic: str, payload: bytes, packet_id: int, data: st.DataObject) -> None:
    packet = publish(topic.encode(), payload, packet_id, False)
    cut = data.draw(st.integers(1, len(packet) - 1))
    assert read(packet[:cut], 0) == (Unread.INCOMPLETE, 0)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 39))
def test_whatever_comes_is_read_within_its_bounds_or_left_to_the_library(data: bytes, at: int) -> None:
    if at >= len(data):
        return
    found, end = read(data, at)
    if isinstance(found, Published | Acknowledged):
        assert at < end <= len(data)
    elif found is Unread.INCOMPLETE:
        assert end == at
    else:
        assert end == 0 or end > at


BODIES = st.one_of(
    st.binary(max_size=30),
    st.builds(
        lambda size, topic, rest: bytes((0, size)) + topic + rest, st.integers(0, 9), *[st.binary(max_size=9)] * 2
    ),
)


@given(st.integers(0x30, 0x3F), BODIES)
def test_what_is_taken_for_a_publication_is_the_same_to_paho(first: int, body: bytes) -> None:
    found, _ = read(bytes((first, len(body))) + body, 0)
    if isinstance(found, Published):
        theirs = _packet.decode_publish(first, body, MQTTProtocolVersion.MQTTv5)
        assert (found.topic, found.payload, found.retained, found.again) == (
            theirs.topic,
            theirs.payload,
            theirs.retain,
            theirs.dup,
        )
        assert found.packet_id == (theirs.mid if theirs.qos else 0)


@pytest.mark.parametrize(
    ("packet", "meant"),
    [
        (b"\x40\x02\x12\x34", Acknowledged(0x1234, 0)),
        (b"\x40\x03\x00\x01\x10", Acknowledged(1, 0x10)),  # nobody subscribes: taken all the same
        (b"\x40\x04\x00\x01\x97\x00", Acknowledged(1, 0x97)),
        (b"\x30\x05\x00\x01t\x00p", Published(b"t", b"p", 0, False, False)),
        (b"\x3b\x07\x00\x01t\x00\x07\x00p", Published(b"t", b"p", 7, True, True)),
        (b"\x30\x04\x00\x01t\x00", Published(b"t", b"", 0, False, False)),
        (b"\xd0\x00", Unread.OTHER),  # PINGRESP
        (b"\x41\x02\x00\x01", Unread.OTHER),  # flags that PUBACK must not have
        (b"\x40\x01\x00", Unread.OTHER),  # no packet id
        (b"\x30\x0a\x00\x01t\x05\x02\x00\x00\x00\x01p", Unread.OTHER),  # with a property: message expiry
        (b"\x30\x06\x00\x00\x03\x23\x00\x01", Unread.OTHER),  # a topic alias instead of a topic
        (b"\x34\x07\x00\x01t\x00\x07\x00p", Unread.OTHER),  # QoS 2
        (b"\x36\x07\x00\x01t\x00\x07\x00p", Unread.OTHER),  # QoS 3, which is none
        (b"\x32\x05\x00\x01t\x00\x07", Unread.OTHER),  # QoS 1, ends with its packet id
        (b"\x30\x05\x00\x09t\x00p", Unread.OTHER),  # a topic longer than its packet
        (b"\x30\x02\x00\x00", Unread.OTHER),
        (b"\x30\xff\xff\xff\xff\x01", Unread.OTHER),  # five bytes of length
    ],
)
def test_packets_as_the_standard_writes_them(packet: bytes, meant: object) -> None:
    found, end = read(packet, 0)
    assert found == meant
    assert end in (len(packet), 0 if packet[1] == 0xFF else len(packet))


@given(st.integers(1, 65_535))
def test_an_acknowledgement_is_read_back(packet_id: int) -> None:
    assert read(puback(packet_id), 0) == (Acknowledged(packet_id, 0), 4)
