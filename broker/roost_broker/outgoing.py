"""A publication on its way, and what may be published at all. Shared by both buses."""

import asyncio
from dataclasses import dataclass
from typing import Any

from roost_broker.errors import Misuse
from roost_broker.messages import MAX_BYTES
from roost_broker.topics import is_topic

_PACKET_HEADER = 12
"""Fixed header, topic length, packet id and an empty property list, rounded up."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One publication; `done` is resolved when the broker has it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    done: "asyncio.Future[None]"
    properties: Any = None
    rim_bytes: int = 0
    """Size of the properties."""

    @property
    def wire_size(self) -> int:
        """Bytes of the packet."""
        return len(self.payload) + len(self.topic.encode()) + self.rim_bytes + _PACKET_HEADER


_good_topics: set[str] = set()


def check_publication(topic: str, payload: bytes, qos: int) -> None:
    """Raise `Misuse` for a topic with wildcards, a QoS that is not used here, or a payload over the limit."""
    if topic not in _good_topics:
        if not is_topic(topic):
            raise Misuse(f"{topic!r} cannot be published to.", "A topic is not empty and has neither '+' nor '#'.")
        if len(_good_topics) >= 1000:
            _good_topics.clear()
        _good_topics.add(topic)
    if len(payload) > MAX_BYTES:
        raise Misuse(
            f"{len(payload)} bytes on {topic} are over the limit of {MAX_BYTES}.",
            "Send large things by reference, and pictures smaller or more strongly compressed.",
        )
    if qos not in (0, 1):
        raise Misuse(f"QoS {qos} is not used here.", "Use 0 or 1; consumers are idempotent instead of QoS 2.")


def finish(done: "asyncio.Future[None]") -> None:
    """Resolve, unless the waiter has given up."""
    if not done.done():
        done.set_result(None)


def fail(done: "asyncio.Future[None]", error: Exception) -> None:
    """Reject, unless the waiter has given up. Nobody need look: a dropped future makes no noise."""
    if not done.done():
        done.set_exception(error)
        done.exception()  # marks it as seen; whoever awaits it still gets the error
