"""What an operator may want to know, on the device's event topic, at a bounded rate."""

from collections import Counter

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.deadletter import RateLimit
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import Event, JsonObject, encode
from roost_broker.topics import NodeTopics


class Announcer:
    """Publishes events of one role; beyond the rate, or with a full queue, they are left out and counted."""

    def __init__(self, bus: Bus, device: NodeTopics, component: str, clock: Clock, counts: Counter[str]) -> None:
        self._bus = bus
        self._device = device
        self._component = component
        self._clock = clock
        self._counts = counts
        self._rate = RateLimit(burst=20, per_s=2)

    def say(self, kind: str, detail: str, data: JsonObject | None = None) -> None:
        """Publish one event."""
        if not self._rate.take(self._clock.monotonic_ns()):
            self._counts["events-dropped"] += 1
            return
        head = new_header(self._clock, self._device.node, self._component)
        event = Event(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            kind=kind,
            detail=detail[:1000],
            data=data or {},
        )
        try:
            self._bus.publish(self._device.event, encode(event))
        except QueueFull:
            self._counts["events-dropped"] += 1
