"""From the outbox to the broker: in order, a bounded number at a time, removed when the broker has taken them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.errors import QueueFull
from roost_edge.alerts.outbox import Outbox

_IN_FLIGHT = 32


class Postman:
    """Call `deliver` whenever something may have changed; `notify` is called when it should be called again."""

    def __init__(
        self, bus: Bus, outbox: Outbox, counts: Counter[str], *, expiry_s: int, clock: Clock, notify: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._outbox = outbox
        self._counts = counts
        self._expiry_s = expiry_s
        self._clock = clock
        self._notify = notify
        self._in_flight: set[int] = set()
        self._taken: set[int] = set()
        self._handed = 0  # every letter up to here was given to the bus or given up
        self._more = True
        self._again = False

    def posted(self) -> None:
        """There are new letters in the outbox."""
        self._more = True

    def start_over(self) -> None:
        """After a reconnection: give the bus again what it lost; what it still carries is left alone."""
        self._again = True
        self._notify()

    async def deliver(self) -> None:
        """Remove what was taken; hand over what fits."""
        await self.clear()
        if self._again:
            self._again, self._more, self._handed = False, True, 0
        while self._more and len(self._in_flight) < _IN_FLIGHT:
            letters = await asyncio.to_thread(
                self._outbox.waiting,
                after=self._handed,
                limit=_IN_FLIGHT,
                monotonic_ns=self._clock.monotonic_ns(),
                wall_ns=self._clock.wall_ns(),
            )
            if not letters:
                self._more = False
            for letter in letters:
                if letter.seq in self._in_flight or letter.seq in self._taken:
                    pass
                elif letter.age_s >= self._expiry_s:
                    self._taken.add(letter.seq)
                    self._counts["expired"] += 1
                elif len(self._in_flight) >= _IN_FLIGHT or not self._hand_over(
                    letter.seq, letter.topic, letter.payload, letter.age_s
                ):
                    return  # the next PUBACK calls again
                self._handed = letter.seq

    async def clear(self) -> None:
        """Remove from the outbox what was taken."""
        if self._taken:
            await asyncio.to_thread(self._outbox.taken, tuple(self._taken))
            self._taken.clear()

    def _hand_over(self, seq: int, topic: str, payload: bytes, age_s: float) -> bool:
        try:
            future = self._bus.publish(topic, payload, expiry_s=max(1, round(self._expiry_s - age_s)))
        except QueueFull:
            self._counts["queue-full"] += 1
            return False
        self._in_flight.add(seq)
        future.add_done_callback(partial(self._published, seq))
        return True

    def _published(self, seq: int, future: "asyncio.Future[None]") -> None:
        self._in_flight.discard(seq)
        if future.cancelled() or future.exception() is not None:
            self._counts["publish-failed"] += 1  # it stays in the outbox until the next connection
            return
        self._taken.add(seq)
        self._counts["published"] += 1
        self._notify()
