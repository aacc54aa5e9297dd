"""Where messages go that nobody could read: a topic of their own, with the reason, at a bounded rate."""

import asyncio
import base64
import logging
from collections import Counter
from dataclasses import dataclass
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Misuse, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import DeadLetter, encode

_log = logging.getLogger(__name__)
_HEAD_BYTES = 3000


@dataclass(slots=True)
class RateLimit:
    """At most `burst` at once and `per_s` on the long run. Pure: the time is an argument."""

    burst: int
    per_s: int
    _tokens_ns: int = -1
    _at: int = 0

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_s < 1:
            raise Misuse(f"A rate of {self.per_s}/s in bursts of {self.burst} lets nothing through.", "Use at least 1.")

    def take(self, now: int) -> bool:
        """Whether one more is allowed at `now`."""
        price = SECOND // self.per_s
        full = self.burst * price
        self._tokens_ns = full if self._tokens_ns < 0 else min(full, self._tokens_ns + max(0, now - self._at))
        self._at = now
        if self._tokens_ns < price:
            return False
        self._tokens_ns -= price
        return True


class DeadLetters:
    """Reports unreadable deliveries on one topic and acknowledges them: nobody could read them next time either.

    `counts["sent"]` went out; `counts["suppressed"]` were over the rate and are only counted, so that a flood of
    rubbish does not become two floods; `counts["refused"]` were sent and not taken by the broker.
    """

    def __init__(
        self, bus: Bus, topic: str, reader: str, clock: Clock, *, node: str = "", burst: int = 20, per_s: int = 5
    ) -> None:
        if not 1 <= len(reader) <= 200:
            raise Misuse(f"A reader's name of {len(reader)} characters cannot be.", "Use 1 to 200 characters.")
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topic = topic
        self._node = node or (topic.split("/")[-3] if topic.count("/") >= 2 else "unknown")  # of a task's topic
        self._reader = reader
        self._clock = clock
        self._limit = RateLimit(burst, per_s)

    def send(self, delivery: Delivery, reason: str) -> bool:
        """Report one delivery and acknowledge it, when the report has arrived or the broker would not have it.

        Returns False when it was only counted (over the rate, the queue full, or a dead letter itself).
        """
        if delivery.topic == self._topic or not self._limit.take(self._clock.monotonic_ns()):
            return self._count_only(delivery)
        head = new_header(self._clock, self._node, self._reader)
        letter = DeadLetter(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            topic=delivery.topic[:500] or "?",
            reason=reason.encode("utf-8", "replace").decode("utf-8")[:1000],
            reader=self._reader,
            size=len(delivery.payload),
            head=base64.b64encode(delivery.payload[:_HEAD_BYTES]).decode("ascii"),
        )
        try:
            done = self._bus.publish(self._topic, encode(letter))
        except QueueFull:
            return self._count_only(delivery)
        done.add_done_callback(partial(self._settled, delivery))
        self.counts["sent"] += 1
        _log.warning("%s could not use a message on %s: %s", self._reader, delivery.topic, reason)
        return True

    def _count_only(self, delivery: Delivery) -> bool:
        self.counts["suppressed"] += 1
        delivery.ack()
        return False

    def _settled(self, delivery: Delivery, done: "asyncio.Future[None]") -> None:
        # Unacknowledged for want of a report, a few of them would fill the receive maximum and stop the role.
        if done.cancelled() or done.exception() is not None:
            self.counts["refused"] += 1
        delivery.ack()
