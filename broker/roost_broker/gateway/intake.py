"""From the broker into the outbox: in batches, acknowledged when they are durable, receipts given.

A batch is written when an alert is in it, when it is large, or when its oldest message has waited for `gather_ms`; and
never before the batch ahead of it is written. While the medium is full nothing is acknowledged: the broker keeps what
it can, and we try again.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable

from roost_broker.bus import Bus, Delivery
from roost_broker.centre.lanes import node_of, task_of
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import QueueFull
from roost_broker.gateway.choosing import Choice
from roost_broker.gateway.dispatch import URGENT
from roost_broker.gateway.outbox import Added, Full, Outbox
from roost_broker.gateway.reading import Taken, read_arrival
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.headers import new_header
from roost_broker.messages import Receipt, encode
from roost_broker.moments import Stamp
from roost_broker.receipts import GATEWAY
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker

_log = logging.getLogger(__name__)
_BATCH = 256
_ENOUGH = 32
_FULL_PAUSE_S = 2.0


class Intake:
    """See the module. `stored` is called with what became of each batch."""

    def __init__(
        self,
        bus: Bus,
        choice: Choice,
        outbox: Outbox,
        disk: Worker,
        settings: GatewaySettings,
        *,
        base: str,
        boot: str,
        clock: Clock,
        pictures: bool,
        counts: Counter[str],
        stored: Callable[[Added], None],
    ) -> None:
        self._bus = bus
        self._choice = choice
        self._outbox = outbox
        self._disk = disk
        self._settings = settings
        self._base = base
        self._boot = boot
        self._clock = clock
        self._pictures = pictures
        self._counts = counts
        self._stored = stored
        self._inbox: deque[tuple[Taken, Delivery]] = deque()  # bounded by the session's receive maximum
        self._urgent = False
        self._news = asyncio.Event()
        self._full = False

    @property
    def full(self) -> bool:
        """Whether the medium took nothing the last time."""
        return self._full

    def subscribe(self) -> None:
        """Before the bus is started."""
        for topic_filter in self._choice.filters:
            self._bus.subscribe(topic_filter, self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        lane = self._choice.lane(delivery.topic)
        if lane is None or not delivery.payload:  # an empty one only clears what was retained
            delivery.ack()
            return
        received = Stamp(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns())
        taken = read_arrival(lane, delivery, received, base=self._base, pictures=self._pictures)
        self._inbox.append((taken, delivery))
        self._urgent = self._urgent or lane == URGENT
        self._news.set()

    async def run(self) -> None:
        """Write what comes, until cancelled. Raises what the outbox raises, except for a full medium."""
        while True:
            self._news.clear()
            if not self._inbox:
                await self._news.wait()
                continue
            await self._gather()
            await self._write()

    async def _gather(self) -> None:
        """Wait until a batch is worth a sync."""
        due = self._inbox[0][0].arrival.received.monotonic_ns + self._settings.gather_ms * MS
        while not self._urgent and len(self._inbox) < _ENOUGH:
            left = due - self._clock.monotonic_ns()
            if left <= 0:
                return
            self._news.clear()
            try:
                async with asyncio.timeout(left / SECOND):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _write(self) -> None:
        batch = [self._inbox.popleft() for _ in range(min(_BATCH, len(self._inbox)))]
        self._urgent = False
        while True:
            try:
                added = await self._disk.call(self._outbox.add, [taken.arrival for taken, _ in batch])
                break
            except Full as error:
                self._counts["medium-full"] += 1
                if not self._full:
                    _log.error("%s Nothing is acknowledged until there is room.", error)
                self._full = True
                await asyncio.sleep(_FULL_PAUSE_S)
        self._full = False
        self._counts["received"] += len(batch) - added.known
        self._counts["known"] += added.known
        self._counts["frames-dropped"] += added.frames_dropped
        for lane, lost in added.dropped.items():
            self._counts[f"dropped-{lane}"] += lost
        self._stored(added)
        for taken, delivery in batch:
            if taken.request_id is not None and self._settings.receipts:
                self._give_receipt(taken, taken.request_id)
            delivery.ack()

    def _give_receipt(self, taken: Taken, request_id: str) -> None:
        topic = taken.arrival.topic
        node, task = node_of(topic, self._base), task_of(topic, self._base)
        if node is None or task is None:
            return
        head = new_header(self._clock, node, GATEWAY)
        receipt = Receipt(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            request_id=request_id,
            saw=taken.saw,
        )
        try:
            self._bus.publish(NodeTopics(node, self._base).task(task).receipts, encode(receipt))
        except QueueFull:
            self._counts["receipts-left-out"] += 1  # whoever waits for it asks again
        else:
            self._counts["receipts"] += 1
