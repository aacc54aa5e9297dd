"""The three MQTT 5 packets that nearly all traffic consists of, read and written without a detour. Pure.

PUBLISH of QoS 0 and 1 and PUBACK (MQTT 5.0 §3.3, §3.4). A library that parses every kind of packet with every kind of
property spends ten times as long on them. What is not in here (connecting, subscribing, pings, incoming properties,
QoS 2) is left to such a library.

`read` looks at one packet at the head of a buffer and never believes it: whatever it does not know for certain to be
one of the three, complete and well-formed, it calls `OTHER`, and the library decides what becomes of it.
"""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct


class Published(Struct, frozen=True, gc=False):
    """An incoming PUBLISH without properties. `packet_id` is 0 for QoS 0."""

    topic: bytes
    payload: bytes
    packet_id: int
    retained: bool
    again: bool
    """The broker delivered it before, and had no acknowledgement (DUP)."""


class Acknowledged(Struct, frozen=True, gc=False):
    """An incoming PUBACK; `reason` of 0x80 and more is a refusal."""

    packet_id: int
    reason: int


class Unread(Enum):
    """What is no packet for us to read."""

    INCOMPLETE = 1
    """More bytes must come before anything can be said."""
    OTHER = 2
    """Some other packet, or none at all."""


Read: TypeAlias = "tuple[Published | Acknowledged | Unread, int]"
"""What was found, and where in the buffer the next packet begins (for OTHER: 0 when that is unknown)."""

_PUBLISH, _PUBACK = 0x30, 0x40
_RETAIN, _AGAIN, _QOS_1, _QOS_2 = 0x01, 0x08, 0x02, 0x04
_LARGEST_HELD = 1_000_000
"""A packet that says it is longer is not waited for here: ten times the largest message of the contract."""


def read(data: bytes, at: int) -> "Read":
    """Look at the packet that begins at `at`; `data` has at least one byte there."""
    have = len(data)
    if have - at < 2:
        return Unread.INCOMPLETE, at
    first, length, body = data[at], data[at + 1], at + 2
    if length & 0x80:  # seven bits a byte, least significant first; at most four bytes (MQTT 5.0 §1.5.5)
        length, shift = length & 0x7F, 7
        while True:
            if body >= have:
                return Unread.INCOMPLETE, at
            byte = data[body]
            body += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                return Unread.OTHER, 0
    end = body + length
    kind = first & 0xF0
    if kind != _PUBLISH and kind != _PUBACK:
        return Unread.OTHER, end
    if end > have:
        return (Unread.OTHER, end) if length > _LARGEST_HELD else (Unread.INCOMPLETE, at)
    if kind == _PUBLISH:
        return _published(data, first, body, end), end
    if first != _PUBACK or length < 2:
        return Unread.OTHER, end
    return Acknowledged(data[body] << 8 | data[body + 1], data[body + 2] if length > 2 else 0), end


def _published(data: bytes, first: int, body: int, end: int) -> Published | Unread:
    if end - body < 3 or first & _QOS_2:
        return Unread.OTHER
    start = body + 2
    stop = start + (data[body] << 8 | data[body + 1])
    packet_id = 0
    properties = stop
    if first & _QOS_1:
        properties += 2
        if properties >= end:
            return Unread.OTHER
        packet_id = data[stop] << 8 | data[stop + 1]
    # One length byte of 0 means: no properties. No topic would be an alias, which we never allowed.
    if properties >= end or data[properties] or stop == start:
        return Unread.OTHER
    retained, again = bool(first & _RETAIN), bool(first & _AGAIN)
    return Published(data[start:stop], data[properties + 1 : end], packet_id, retained, again)


def publish(
    topic: bytes, payload: bytes, packet_id: int, retain: bool, properties: bytes = b"\0", again: bool = False
) -> bytes:
    """A PUBLISH, of QoS 1 when it has a packet id. `properties` are packed, their length included."""
    first = _PUBLISH | (_RETAIN if retain else 0) | (_AGAIN if again else 0)
    identified = b""
    if packet_id:
        first |= _QOS_1
        identified = packet_id.to_bytes(2, "big")
    named = len(topic).to_bytes(2, "big")
    length = 2 + len(topic) + len(identified) + len(properties) + len(payload)
    head = bytes((first, length)) if length < 0x80 else bytes((first, *_length(length)))
    return b"".join((head, named, topic, identified, properties, payload))


def puback(packet_id: int) -> bytes:
    """Success, in its short form."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def _length(length: int) -> list[int]:
    found = []
    while length >= 0x80:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    found.append(length)
    return found
