"""From a delivery to what the outbox keeps: identity, pictures, and whom to give a receipt. Pure.

Only the fields that are needed are read: the payload goes on byte for byte, whatever it is.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from roost_broker.bus import Delivery
from roost_broker.catalogue import entry_of
from roost_broker.centre.lanes import LaneName
from roost_broker.gateway.rows import Arrival
from roost_broker.messages import Digest, Id
from roost_broker.moments import Stamp


class _Frame(msgspec.Struct):
    sha256: Digest
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**40)] = 0


class _Input(msgspec.Struct):
    frame: _Frame | None = None


class _Head(msgspec.Struct, rename="camel"):
    message_id: Id
    schema: str = ""
    request_id: Id | None = None
    input: _Input | None = None
    frame: _Frame | None = None


_heads = msgspec.json.Decoder(_Head)
_REQUEST = "roost.request/1"


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery as it will be kept. `request_id` where a receipt is due."""

    arrival: Arrival
    request_id: str | None = None

    @property
    def saw(self) -> str:
        """SHA-256 of the message's bytes, as receipts name it."""
        return hashlib.sha256(self.arrival.payload).hexdigest()


def read_arrival(lane: LaneName, delivery: Delivery, received: Stamp, *, base: str, pictures: bool = True) -> Taken:
    """What to keep of a delivery. Never fails: what is no message of ours is known by its content."""
    entry = entry_of(delivery.topic, base)
    state = delivery.retained or (entry is not None and entry.retained)
    head = _head(delivery.payload)
    frame = _frame(lane, head) if pictures and head is not None else None
    arrival = Arrival(
        lane,
        delivery.topic,
        delivery.payload,
        received,
        hashlib.sha256(delivery.payload).digest() if head is None else head.message_id.encode(),
        named=head is not None,
        again=delivery.redelivered,
        retained=delivery.retained,
        state=state,
        frames=() if frame is None else ((frame.sha256, frame.bytes, lane == "alerts"),),
    )
    return Taken(arrival, head.request_id if head is not None and head.schema == _REQUEST else None)


def _head(payload: bytes) -> _Head | None:
    try:
        return _heads.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _frame(lane: LaneName, head: _Head) -> _Frame | None:
    if lane == "alerts":
        return head.frame
    return head.input.frame if lane == "inputs" and head.input is not None else None
