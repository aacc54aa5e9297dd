"""What is on its way to `input`, in order: each raw message is acknowledged when the broker has taken it over."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from roost_broker.bus import Bus, Delivery
from roost_broker.errors import QueueFull
from roost_rendezvous.injector.traced import Traced

MAX_WAITING = 1000
"""What waits for room in the bus's queue. Beyond the receive maximum only what comes with QoS 0."""
_RETRY_S = 0.2


class Outgoing(NamedTuple):
    """What waits for the bus. `last`: the role ends when the broker has it."""

    delivery: Delivery
    payload: bytes
    last: bool = False
    traced: Traced | None = None


class Line:
    """`taken` is called when the broker has an item, `refused` with the reason when it would never take it, and
    `defect` with an error that nobody foresaw: the line may stand still from then on.

    `counts`: injected, waits, dropped.
    """

    def __init__(
        self,
        bus: Bus,
        topic: str,
        counts: Counter[str],
        *,
        taken: Callable[[Outgoing], None],
        refused: Callable[[Delivery, str], None],
        defect: Callable[[Exception], None],
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._counts = counts
        self._taken = taken
        self._refused = refused
        self._defect = defect
        self._waiting: deque[Outgoing] = deque()
        self._retry: asyncio.TimerHandle | None = None

    def add(self, item: Outgoing) -> None:
        """Put it behind the others, and send what can be sent."""
        if len(self._waiting) >= MAX_WAITING and not item.last:
            self._counts["dropped"] += 1
            item.delivery.ack()
            return
        self._waiting.append(item)
        if self._retry is None:
            self._send()

    def lost(self) -> None:
        """The connection is gone: what was not acknowledged comes again, and only the rest still waits."""
        self._waiting = deque(item for item in self._waiting if item.delivery.acknowledged)
        self._cancel_retry()

    def resume(self) -> None:
        """The connection is back."""
        self._send()

    def close(self) -> None:
        """The role ends."""
        self._waiting.clear()
        self._cancel_retry()

    def _send(self) -> None:
        """Publish what waits, in order; a full queue is tried again after a while."""
        self._cancel_retry()
        while self._waiting:
            item = self._waiting[0]
            try:
                done = self._bus.publish(
                    self._topic,
                    item.payload,
                    response_topic=item.delivery.response_topic,
                    correlation_data=item.delivery.correlation_data,
                )
            except QueueFull:
                self._counts["waits"] += 1
                self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._try_again)
                return
            self._waiting.popleft()
            done.add_done_callback(partial(self._settled, item))

    def _try_again(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - the loop would only log it
            self._defect(error)

    def _settled(self, item: Outgoing, done: "asyncio.Future[None]") -> None:
        try:
            self._settle(item, done)
        except Exception as error:  # noqa: BLE001 - the loop would only log it
            self._defect(error)

    def _settle(self, item: Outgoing, done: "asyncio.Future[None]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is None:
            self._counts["injected"] += 1
            item.delivery.ack()
            self._taken(item)
        elif self._bus.connected:  # the broker would not take it, and never will
            self._refused(item.delivery, str(error))
        # else the bus was stopped: the request is delivered again at the next start
        if self._waiting:
            self._send()  # there is room for one more

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
