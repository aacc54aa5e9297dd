"""Results on their way out: first into the journal, then to the broker, and only then is the request acknowledged.

Nothing waits here: what the bus does not take now (its queue is full because the broker is away) is taken from the
journal and tried again, in order.
"""

import asyncio
from collections import Counter, OrderedDict
from functools import partial

from roost_broker.bus import Bus
from roost_broker.errors import QueueFull
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.journal import AnswerJournal, Stored

_RETRY_S = 0.2


class ResultPublisher:
    """Publishes results, again where asked; `held` are the deliveries to acknowledge afterwards."""

    def __init__(
        self, bus: Bus, journal: AnswerJournal, held: HeldDeliveries, counts: Counter[str], *, remember: int
    ) -> None:
        self._bus = bus
        self._journal = journal
        self._held = held
        self._counts = counts
        self._remember = remember
        self._unsent: OrderedDict[str, Stored | None] = OrderedDict()
        self._retry_timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Try nothing again: the journal is closed next."""
        if self._retry_timer is not None:
            self._retry_timer.cancel()

    def send(self, request_id: str, stored: Stored) -> None:
        """Journal a new result and publish it. A journal that cannot be written must not cost an answer."""
        written = self._journal.write(request_id, stored)
        if not written:
            self._counts["journal-failed"] += 1
        if self._unsent or not self._publish(request_id, stored):
            self._later(request_id, None if written else stored)

    def again(self, request_id: str) -> None:
        """Publish a stored result once more: the same bytes, so the same message id."""
        stored = self._journal.find(request_id)
        if stored is None:
            self._counts["repeated-request-forgotten"] += 1
            self._held.release(request_id)
        elif self._unsent or not self._publish(request_id, stored):
            self._later(request_id, None)

    def _publish(self, request_id: str, stored: Stored) -> bool:
        """Whether the bus took it. A response topic of its own gets a copy: the stream of results stays complete."""
        own_topic = stored.response_topic is not None and stored.response_topic != stored.topic
        correlation = None if own_topic else stored.correlation
        try:
            done = self._bus.publish(stored.topic, stored.payload, correlation_data=correlation)
            if own_topic and stored.response_topic is not None:
                done = self._bus.publish(stored.response_topic, stored.payload, correlation_data=stored.correlation)
        except QueueFull:
            return False
        done.add_done_callback(partial(self._taken, request_id))
        return True

    def _taken(self, request_id: str, done: "asyncio.Future[None]") -> None:
        if not done.cancelled() and done.exception() is None:
            self._counts["published"] += 1
            self._held.release(request_id)

    def _later(self, request_id: str, stored: Stored | None) -> None:
        """Keep the id (the bytes only when the journal has not got them); bounded, the oldest give way."""
        self._counts["publish-waits"] += 1
        self._unsent[request_id] = stored
        if len(self._unsent) > self._remember:
            self._unsent.popitem(last=False)
            self._counts["publish-given-up"] += 1
        self._retry_soon()

    def _retry_soon(self) -> None:
        if self._retry_timer is None:
            self._retry_timer = asyncio.get_running_loop().call_later(_RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        while self._unsent:
            request_id, kept = next(iter(self._unsent.items()))
            stored = kept or self._journal.find(request_id)
            if stored is not None and not self._publish(request_id, stored):
                self._retry_soon()
                return
            del self._unsent[request_id]
