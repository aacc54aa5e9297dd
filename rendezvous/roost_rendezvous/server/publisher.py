"""Results on their way out: first into the journal, then to the broker, and only then is the request acknowledged.

What the bus does not take now (its queue is full) is kept by id, and taken from the journal and tried again, in order,
as soon as there is room.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from functools import partial

from roost_broker.bus import Bus
from roost_broker.errors import QueueFull
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.journal import AnswerJournal, Stored

_log = logging.getLogger(__name__)
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
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no result waits for room in the bus's queue."""
        return not self._unsent

    def close(self) -> None:
        """Try nothing again: the bus is stopped and the journal closed next."""
        self._closed = True
        self._cancel_retry()

    def send(self, request_id: str, stored: Stored) -> None:
        """Journal a new result and publish it. A journal that cannot be written must not cost an answer."""
        written = self._journal.write(request_id, stored)
        if not written:
            self._counts["journal-failed"] += 1
        if self._unsent or not self._publish(request_id, stored):
            self._later(request_id, None if written else stored)

    def again(self, request_id: str) -> bool:
        """Publish a stored result once more: the same bytes, so the same message id. False when it is lost."""
        if request_id in self._unsent:
            return True  # it has not gone out yet, and will
        stored = self._journal.find(request_id)
        if stored is None:
            self._counts["repeated-request-forgotten"] += 1
            return False
        if self._unsent or not self._publish(request_id, stored):
            self._later(request_id, None)
        return True

    def _publish(self, request_id: str, stored: Stored) -> bool:
        """Whether the bus took it. A response topic of its own gets a copy: the stream of results stays complete."""
        own_topic = stored.response_topic is not None and stored.response_topic != stored.topic
        taken = partial(self._taken, request_id)
        try:
            if own_topic and stored.response_topic is not None:
                self._bus.publish(stored.topic, stored.payload)
                correlation = stored.correlation
                self._bus.publish(stored.response_topic, stored.payload, correlation_data=correlation, taken=taken)
            else:
                self._bus.publish(stored.topic, stored.payload, correlation_data=stored.correlation, taken=taken)
        except QueueFull:
            return False
        return True

    def _taken(self, request_id: str, error: Exception | None) -> None:
        if error is None:
            self._counts["published"] += 1
            self._held.release(request_id)
        elif self._bus.connected:  # else the bus was stopped, and the request comes again
            self._counts["publish-refused"] += 1
            self._held.release(request_id)
            _log.warning("The result of %s could not be delivered. %s", request_id, error)
        if self._unsent:
            self._retry()  # there is room for one more

    def _later(self, request_id: str, stored: Stored | None) -> None:
        """Keep the id (the bytes only when the journal has not got them); bounded, the oldest give way."""
        self._counts["publish-waits"] += 1
        self._unsent[request_id] = stored
        if len(self._unsent) > self._remember:
            self._unsent.popitem(last=False)
            self._counts["publish-given-up"] += 1
        self._retry_soon()

    def _retry_soon(self) -> None:
        if self._retry_timer is None and not self._closed:
            self._retry_timer = asyncio.get_running_loop().call_later(_RETRY_S, self._retry)

    def _cancel_retry(self) -> None:
        if self._retry_timer is not None:
            self._retry_timer.cancel()
            self._retry_timer = None

    def _retry(self) -> None:
        self._cancel_retry()
        while self._unsent and not self._closed:
            request_id, kept = next(iter(self._unsent.items()))
            stored = kept or self._journal.find(request_id)
            if stored is None:
                self._counts["publish-given-up"] += 1
                self._held.release(request_id)
            elif not self._publish(request_id, stored):
                self._retry_soon()
                return
            del self._unsent[request_id]
