"""Results of requests that asked the rendezvous itself to suffer (QA; see `roost_broker.diagnosis`).

slow     the decided result is published so much later; a timer of its own, nobody else waits
drop     it is never published, and the request counts as done
wrong    bytes that do not decode are published in its place
error    the request gets no mailbox but a dead letter; that happens where requests are read, not here

None but the delayed result is journalled: a request asked again is decided again.
"""

import asyncio
from collections import Counter
from functools import partial

from roost_broker.bus import Bus
from roost_broker.errors import QueueFull
from roost_broker.faults import RUBBISH, Fault
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.journal import Stored
from roost_rendezvous.server.publisher import ResultPublisher

MAX_DELAYED = 1000
"""Results that wait for their delay; beyond it one goes out at once."""


class FaultyOutlet:
    """Stands before the publisher for the few results that are to go wrong."""

    def __init__(self, bus: Bus, publisher: ResultPublisher, held: HeldDeliveries, counts: Counter[str]) -> None:
        self._bus = bus
        self._publisher = publisher
        self._held = held
        self._counts = counts
        self._delayed: dict[str, asyncio.TimerHandle] = {}

    def send(self, request_id: str, stored: Stored, fault: Fault) -> None:
        """What becomes of one result."""
        self._counts[f"fault-{fault.kind}"] += 1
        if fault.kind == "drop":
            self._held.release(request_id)
        elif fault.kind == "wrong":
            self._send_rubbish(request_id, stored)
        elif fault.kind == "slow" and len(self._delayed) < MAX_DELAYED:
            later = asyncio.get_running_loop().call_later(
                fault.delay_ms / 1000, partial(self._send_late, request_id, stored)
            )
            self._delayed[request_id] = later
        else:
            self._publisher.send(request_id, stored)

    @property
    def idle(self) -> bool:
        """Whether no result waits for its delay."""
        return not self._delayed

    def holds(self, request_id: str) -> bool:
        """Whether this result is decided and waits for its delay."""
        return request_id in self._delayed

    def close(self) -> None:
        """What waits is not published. Its request is not acknowledged, so the next start decides it again."""
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()

    def _send_late(self, request_id: str, stored: Stored) -> None:
        del self._delayed[request_id]
        self._publisher.send(request_id, stored)

    def _send_rubbish(self, request_id: str, stored: Stored) -> None:
        try:
            self._bus.publish(stored.topic, RUBBISH, correlation_data=stored.correlation)
        except QueueFull:
            self._counts["fault-wrong-not-sent"] += 1
        self._held.release(request_id)
