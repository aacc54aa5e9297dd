"""One message in the outbox. Pure."""

import hashlib
from dataclasses import dataclass

from roost_broker.centre.lanes import LaneName
from roost_broker.moments import Stamp

ROW_OVERHEAD = 400
"""Bytes that a message takes beside topic and payload, on the card and on the wire, rounded up."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message that waits for the centre. With `gap_first` it stands for a dropped range that ends with it."""

    lane: LaneName
    seq: int
    topic: str
    payload: bytes
    received: Stamp
    retained: bool = False
    gap_first: int | None = None

    @property
    def size(self) -> int:
        """Bytes that it is counted for in every budget."""
        return size_of(self.topic, self.payload)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message from the broker, to be kept."""

    lane: LaneName
    topic: str
    payload: bytes
    received: Stamp
    identity: bytes
    """By which it is recognised when it is delivered again: its message id, or a digest of its content."""
    named: bool = True
    """It has a message id. Of one that has none, only a repeated delivery can be a repetition."""
    again: bool = False
    """The broker says that it delivered it before."""
    retained: bool = False
    """It was kept by the broker, as it is with every new connection."""
    state: bool = False
    """Its topic is one whose newest message the broker keeps."""
    frames: tuple[tuple[str, int, bool], ...] = ()
    """Pictures it refers to: SHA-256, bytes, whether an alert shows it."""


def content_of(topic: str, payload: bytes) -> bytes:
    """By which two messages are the same one."""
    return hashlib.blake2b(topic.encode() + b"\0" + payload, digest_size=16).digest()


def size_of(topic: str, payload: bytes) -> int:
    """Bytes that a message is counted for in every budget."""
    return len(topic) + len(payload) + ROW_OVERHEAD
