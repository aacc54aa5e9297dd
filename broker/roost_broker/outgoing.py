"""A publication on its way, and what may be published at all. Shared by both buses."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from roost_broker.errors import Misuse
from roost_broker.messages import MAX_BYTES
from roost_broker.topics import is_topic

_PACKET_HEADER = 12
"""Fixed header, topic length and packet id, rounded up."""
NO_PROPERTIES = b"\0"
"""Packed, as MQTT 5 sends an empty list."""

Taken: TypeAlias = Callable[[Exception | None], None]


@dataclass(slots=True, eq=False)
class Outgoing:
    """One publication; `done` is resolved when the broker has it."""

    topic: str
    encoded: bytes
    """The topic in UTF-8."""
    payload: bytes
    qos: int
    retain: bool
    done: "asyncio.Future[None]"
    properties: Any = NO_PROPERTIES
    """Packed for the wire; the memory bus, which has none, keeps them as they were given."""
    taken: Taken | None = None
    """Called at once, where `done` speaks a turn of the event loop later."""

    @property
    def wire_size(self) -> int:
        """Bytes of the packet."""
        return len(self.payload) + len(self.encoded) + len(self.properties) + _PACKET_HEADER

    def settle(self, error: Exception | None, report: Callable[[str, BaseException], None]) -> None:
        """The broker has it, or it failed. A callback's own defect is reported and disturbs nobody else."""
        if error is None:
            finish(self.done)
        else:
            fail(self.done, error)
        if self.taken is not None:
            try:
                self.taken(error)
            except Exception as defect:  # noqa: BLE001 - as with handlers: the bus lives on
                report(f"What follows a publication on {self.topic} failed", defect)


_good_topics: dict[str, bytes] = {}


def check_publication(topic: str, payload: bytes, qos: int) -> bytes:
    """The topic in UTF-8. Raises `Misuse` for wildcards, a QoS that is not used here, or a payload over the limit."""
    encoded = _good_topics.get(topic)
    if encoded is None:
        if not is_topic(topic):
            raise Misuse(f"{topic!r} cannot be published to.", "A topic is not empty and has neither '+' nor '#'.")
        if len(_good_topics) >= 1000:
            _good_topics.clear()
        encoded = _good_topics[topic] = topic.encode()
    if len(payload) > MAX_BYTES:
        raise Misuse(
            f"{len(payload)} bytes on {topic} are over the limit of {MAX_BYTES}.",
            "Send large things by reference, and pictures smaller or more strongly compressed.",
        )
    if qos not in (0, 1):
        raise Misuse(f"QoS {qos} is not used here.", "Use 0 or 1; consumers are idempotent instead of QoS 2.")
    return encoded


def finish(done: "asyncio.Future[None]") -> None:
    """Resolve, unless the waiter has given up."""
    if not done.done():
        done.set_result(None)


def fail(done: "asyncio.Future[None]", error: Exception) -> None:
    """Reject, unless the waiter has given up. Nobody need look: a dropped future makes no noise."""
    if not done.done():
        done.set_exception(error)
        done.exception()  # marks it as seen; whoever awaits it still gets the error
