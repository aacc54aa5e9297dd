"""Where a model's words go out: published, kept while the bus is full, and only then is the input acknowledged."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.errors import QueueFull


class Outlet:
    """One scores topic. What waits is bounded: no more inputs are unacknowledged than the bus allows."""

    def __init__(self, bus: Bus, topic: str, counts: Counter[str]) -> None:
        self._bus = bus
        self._topic = topic
        self._counts = counts
        self._unsent: deque[tuple[bytes, list[Delivery]]] = deque()

    def send(self, payload: bytes, deliveries: list[Delivery]) -> None:
        """Publish; the deliveries are acknowledged when the broker has it."""
        try:
            done = self._bus.publish(self._topic, payload)
        except QueueFull:
            self._counts["delayed"] += 1
            self._unsent.append((payload, deliveries))
            return
        done.add_done_callback(partial(_acknowledge_when_arrived, deliveries))

    def pass_on(self, tokens: Iterable[Delivery]) -> None:
        """Tokens go out as they came, bytes, and in line with the words before them."""
        for token in tokens:
            self._counts["tokens"] += 1
            if self._unsent:  # it must not overtake what it follows
                self._unsent.append((token.payload, [token]))
            else:
                self.send(token.payload, [token])

    def send_unsent(self) -> None:
        """Try again what the bus had no room for."""
        for _ in range(len(self._unsent)):
            self.send(*self._unsent.popleft())


def acknowledge(deliveries: Iterable[Delivery]) -> None:
    """Every delivery of one request."""
    for delivery in deliveries:
        delivery.ack()


def _acknowledge_when_arrived(deliveries: list[Delivery], done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and done.exception() is None:
        acknowledge(deliveries)
