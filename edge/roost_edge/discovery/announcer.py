"""Announcing the device to Home Assistant, and anew when Home Assistant has started. A part of the alerts role.

1. The document is retained, and published at each connection: a broker may have forgotten it.
2. At Home Assistant's birth message it is published again, after a random part of `jitter_s`: a fleet does not answer
   at once. A birth that is retained is an old one, and the document was just published.
3. Switched off, an empty retained message takes it back.
"""

import random
from collections import Counter
from collections.abc import Callable

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import QueueFull
from roost_edge.discovery.settings import DiscoverySettings

_BORN = b"online"


class DiscoveryAnnouncer:
    """`payload` is the whole document, encoded; `topic` where it belongs. `expire` is called when `deadline` says."""

    def __init__(
        self,
        bus: Bus,
        topic: str,
        payload: bytes,
        settings: DiscoverySettings,
        *,
        clock: Clock,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topic = topic
        self._payload = payload if settings.enabled else b""
        self._settings = settings
        self._clock = clock
        self._spread = spread
        self._due: int | None = None
        self._wake: Callable[[], None] = lambda: None

    @property
    def enabled(self) -> bool:
        """Whether the device is to be found."""
        return self._settings.enabled

    def listen(self, wake: Callable[[], None]) -> None:
        """Before the bus starts. `wake` is called when the deadline has changed."""
        self._wake = wake
        self._bus.subscribe(self._settings.birth_topic, self._heard)
        self._bus.on_connection(lambda up: self._announce() if up else None)

    def deadline(self) -> int | None:
        """When to announce anew; None while nobody waits for it."""
        return self._due

    def expire(self, now: int) -> None:
        """Announce, if it is time."""
        if self._due is not None and now >= self._due:
            self._due = None
            self._announce()

    def _heard(self, delivery: Delivery) -> None:
        delivery.ack()
        if delivery.retained or delivery.payload.strip() != _BORN or not self.enabled:
            self.counts["birth-ignored"] += 1
            return
        self.counts["births"] += 1
        if self._due is None:  # a second birth within the time changes nothing
            self._due = self._clock.monotonic_ns() + round(self._spread() * self._settings.jitter_s * SECOND)
            self._wake()

    def _announce(self) -> None:
        try:
            self._bus.publish(self._topic, self._payload, retain=True)
            self.counts["announced"] += 1
        except QueueFull:
            self.counts["queue-full"] += 1  # again at the next connection
