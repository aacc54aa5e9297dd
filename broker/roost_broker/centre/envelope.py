"""A mirrored message as it travels to the centre: MQTT's payload byte for byte, everything else in headers. Pure.

    Nats-Msg-Id     <node>:<outbox>:<lane>:<seq>     by which JetStream recognises a repetition
    Roost-Topic     the MQTT topic; characters that a header cannot carry are written %XX
    Roost-Node      the device
    Roost-Outbox    32 hex digits, made together with the outbox's database: a new database is a new outbox
    Roost-Lane      name of the lane
    Roost-Seq       counts from 1 without holes, for each outbox and lane
    Roost-Received  when the gateway got it, wall clock of the device, milliseconds
    Roost-Late-Ms   its age when it was sent, where that is above the gateway's bound
    Roost-Retained  1, when it was retained
    Roost-Gap       <first>-<last>: these will not come (budget); the message's own seq is `last`, its payload empty

Whoever reads tells messages apart by (outbox, lane, seq), see `Envelope.key`: JetStream's own window for repetitions
is bounded in time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote

from roost_broker.centre.lanes import LANES, LaneName
from roost_broker.errors import Malformed

MSG_ID = "Nats-Msg-Id"
TOPIC = "Roost-Topic"
NODE = "Roost-Node"
OUTBOX = "Roost-Outbox"
LANE = "Roost-Lane"
SEQ = "Roost-Seq"
RECEIVED = "Roost-Received"
LATE = "Roost-Late-Ms"
RETAINED = "Roost-Retained"
GAP = "Roost-Gap"

MAX_SEQ = 2**53
_OUTBOX = re.compile(r"[0-9a-f]{32}\Z")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,15})\Z")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


class Key(NamedTuple):
    """What a message is told apart by, and put in order by within one (outbox, lane)."""

    outbox: str
    lane: LaneName
    seq: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way from a device to the centre."""

    topic: str
    payload: bytes
    node: str
    outbox: str
    lane: LaneName
    seq: int
    received_ms: int
    late_ms: int | None = None
    """Age when it was sent, where that is above the gateway's bound."""
    retained: bool = False
    gap: tuple[int, int] | None = None
    """First and last number of what will not come."""
    stored_ms: int = field(default=0, compare=False)
    """When the centre stored it, by the centre's clock; 0 before it has."""

    @property
    def key(self) -> Key:
        """See `Key`."""
        return Key(self.outbox, self.lane, self.seq)

    @property
    def first_seq(self) -> int:
        """The first number that this message settles: its own, or the first of its gap."""
        return self.seq if self.gap is None else self.gap[0]

    @property
    def message_id(self) -> str:
        """By which JetStream recognises a repetition."""
        return f"{quote(self.node, safe=_PLAIN)}:{self.outbox}:{self.lane}:{self.seq}"


def headers_of(envelope: Envelope) -> dict[str, str]:
    """The headers to publish it with."""
    headers = {
        MSG_ID: envelope.message_id,
        TOPIC: quote(envelope.topic, safe=_PLAIN),
        NODE: quote(envelope.node, safe=_PLAIN),
        OUTBOX: envelope.outbox,
        LANE: envelope.lane,
        SEQ: str(envelope.seq),
        RECEIVED: str(envelope.received_ms),
    }
    if envelope.late_ms is not None:
        headers[LATE] = str(envelope.late_ms)
    if envelope.retained:
        headers[RETAINED] = "1"
    if envelope.gap is not None:
        headers[GAP] = f"{envelope.gap[0]}-{envelope.gap[1]}"
    return headers


def parse(headers: Mapping[str, str] | None, payload: bytes, stored_ms: int = 0) -> Envelope:
    """Read a message of a lane, stored at that moment. Raises `Malformed` with the reason; never anything else."""
    if not headers:
        raise Malformed("A message without headers: no gateway sent it.")
    lane = LANES.get(_text(headers, LANE))  # type: ignore[call-overload]  # a stranger's word; None when it is no lane
    outbox = _text(headers, OUTBOX)
    if lane is None:
        raise Malformed(f"{LANE} names no lane: {headers[LANE]!r}.")
    if not _OUTBOX.match(outbox):
        raise Malformed(f"{OUTBOX} is not 32 hex digits: {outbox!r}.")
    seq = _number(headers, SEQ)
    if not seq:
        raise Malformed(f"{SEQ} counts from 1.")
    return Envelope(
        topic=unquote(_text(headers, TOPIC)),
        payload=payload,
        node=unquote(_text(headers, NODE)),
        outbox=outbox,
        lane=lane.name,
        seq=seq,
        received_ms=_number(headers, RECEIVED),
        late_ms=_number(headers, LATE) if LATE in headers else None,
        retained=headers.get(RETAINED) == "1",
        gap=_gap(headers[GAP], seq) if GAP in headers else None,
        stored_ms=stored_ms,
    )


def _text(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise Malformed(f"The header {name} is missing.")
    return value


def _number(headers: Mapping[str, str], name: str) -> int:
    text = _text(headers, name)
    if not _NUMBER.match(text) or int(text) > MAX_SEQ:
        raise Malformed(f"{name} is no number: {text[:40]!r}.")
    return int(text)


def _gap(text: str, seq: int) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and _NUMBER.match(first) and _NUMBER.match(last)) or not 1 <= int(first) <= int(last) == seq:
        raise Malformed(f"{GAP} is {text[:40]!r}: not <first>-<last> with the message's own number as the last.")
    return int(first), int(last)


@dataclass(frozen=True, slots=True)
class Down:
    """A message from the centre that shall appear on a device's broker. A device's gateway has an allow-list."""

    topic: str
    payload: bytes
    message_id: str
    retained: bool = False
    """The newest one counts: earlier ones of this topic are taken out of the stream."""


def down_headers_of(message: Down) -> dict[str, str]:
    """The headers to publish it with."""
    headers = {MSG_ID: message.message_id, TOPIC: quote(message.topic, safe=_PLAIN)}
    if message.retained:
        headers |= {RETAINED: "1", "Nats-Rollup": "sub"}
    return headers


def parse_down(headers: Mapping[str, str] | None, payload: bytes) -> Down:
    """Read a message of the stream DOWN. Raises `Malformed` with the reason; never anything else."""
    if not headers:
        raise Malformed("A message without headers: the centre did not send it.")
    return Down(
        topic=unquote(_text(headers, TOPIC)),
        payload=payload,
        message_id=_text(headers, MSG_ID),
        retained=headers.get(RETAINED) == "1",
    )
