"""The one interface to a broker. Two implementations: `mqtt.MqttBus` (Mosquitto) and `memory.MemoryBus`.

Rules that every implementation keeps, and that `tests/contract/test_bus_*.py` check on both:

1. Sessions are persistent: what was published to a subscription while its owner was away is delivered when
   the owner returns with the same client id.
2. A delivery counts as done only when its `ack()` was called. What was not acknowledged when the connection
   ended is delivered again. `ack()` on a delivery of an earlier connection does nothing.
3. At most `receive_maximum` deliveries are unacknowledged at a time: not acknowledging is back-pressure.
4. Handlers run on the event loop, one at a time, in the order of arrival; they must not block. A handler that
   raises is a defect: the error is reported through `on_error`, the delivery stays unacknowledged.
5. `publish` never blocks. Its future is done when the broker has taken responsibility (QoS 1), and survives a
   reconnect. Beyond `max_queued` unsent messages it raises `QueueFull`, and for QoS 0, whose future tells only that it
   was sent, as soon as the peer does not read. `taken` is called with None or the error at
   that very moment, never within `publish` itself: what is published or acknowledged in answer leaves at once.
6. The last will is published when the connection ends without `stop()`. From `stop()` on no handler is called.
   `stop(forget=True)` ends the session with the connection.
7. Filters of one bus do not overlap (`Misuse`): whose acknowledgement would count? Shared subscriptions
   (`$share/<group>/<filter>`) work; a message goes to one member of the group.
8. Retained messages are delivered at every (re)connection, marked `retained`; live ones are not marked.

Response Topic, Correlation Data and Message Expiry are for the rim of the system only; the inner flow leaves
them out (packing them in Python halves the throughput).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


@dataclass(slots=True)
class Delivery:
    """One message on its way in. Call `ack()` after the work is done."""

    topic: str
    payload: bytes
    retained: bool = False
    redelivered: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    _ack: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def acknowledged(self) -> bool:
        """Whether it will not be delivered again: `ack()` was called, or it came with QoS 0."""
        return self._ack is None

    def ack(self) -> None:
        """Tell the broker that this message need not be delivered again. Calling it twice is harmless."""
        done, self._ack = self._ack, None
        if done is not None:
            done()


Handler: TypeAlias = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish. Retained."""

    topic: str
    payload: bytes


class Bus(Protocol):
    """See the module's rules."""

    @property
    def client_id(self) -> str:
        """Stable name of this session."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        ...

    async def start(self) -> None:
        """Connect; return when connected for the first time. Later losses are mended in the background.

        Subscriptions made before `start` are in place before the first delivery.
        """
        ...

    async def stop(self, *, forget: bool = False) -> None:
        """Disconnect in order: unsent messages are given a bounded time, the will is not published.

        With `forget` the broker forgets the session too: nothing is kept for an owner who will not return. Without a
        connection at that moment it cannot be told.
        """
        ...

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 1) -> None:
        """Route matching messages to `handler`; renewed after every reconnect that lost the session."""
        ...

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        taken: Callable[[Exception | None], None] | None = None,
    ) -> "asyncio.Future[None]":
        """Send a message; see rule 5. The future may be dropped without a warning."""
        ...

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call back with True after each (re)connection and False after each loss."""
        ...

    def on_error(self, callback: Callable[[str, BaseException], None]) -> None:
        """Call back with a sentence and the error when a handler raised."""
        ...
