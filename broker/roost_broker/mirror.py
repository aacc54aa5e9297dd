"""A copy of production's request streams on a developer's broker (the book's ch. 4, figure 4-1).

Rules:

1. Production must not notice. The mirror reads with QoS 0 and without a session that outlives its connection: nothing
   is queued for it, nothing waits for its acknowledgement, and while it is away nothing is kept.
2. So it may miss requests, never delay them. What the developer's broker does not take in time is dropped and counted.
3. Bytes are copied, not re-made: a model of the developer's sees what production's models saw, to the byte, and its
   scores can be compared by request id. Results of the copy go to the developer's broker alone.
4. Only requests are copied. Tokens of a hand-over are production's own affair; what does not decode is counted.
5. Frames travel by reference. With a folder of production's frames at hand (`shelves`) each is copied before its
   request; else models that need the picture decline `frame-missing`.

A frame is copied in a thread of its own, one after the other, so that requests stay in order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.errors import FrameUnavailable, Malformed, Misuse, QueueFull
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Request, decode
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker

Stream: TypeAlias = Literal["raw", "input"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where production's frames lie, and where the copies go."""

    source: FrameStore
    target: FrameStore


class Mirror:
    """Copies `streams` of `tasks` from one broker to another until stopped.

    Both buses are unstarted; `source` should have a session expiry of 0 (rule 1). `origin` and `copy` are the device's
    topics on either side. `counts`: copied, dropped (no room), not-a-request, frames, frames-missing.
    """

    def __init__(
        self,
        source: Bus,
        target: Bus,
        *,
        origin: NodeTopics,
        copy: NodeTopics,
        tasks: Iterable[str],
        streams: Iterable[Stream] = ("input",),
        shelves: Shelves | None = None,
        max_waiting: int = 1000,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._source, self._target = source, target
        self._shelves = shelves
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[str, bytes, FrameRef | None]] = deque()
        self._news = asyncio.Event()
        self._routes: dict[str, str] = {}
        for task in tasks:
            for stream in streams:
                self._routes[_topic(origin, task, stream)] = _topic(copy, task, stream)
        if not self._routes:
            raise Misuse("There is nothing to mirror.", "Name at least one task and one stream (raw, input).")

    async def run(self, stop: asyncio.Event) -> None:
        """Copy until `stop`. Raises `PeerError` when a broker refuses us for good."""
        for topic in self._routes:
            self._source.subscribe(topic, self._arrived, qos=0)
        thread = Worker("mirror frames")
        copying: asyncio.Future[None] | None = None
        try:
            # The developer's side first: what production says before that could go nowhere.
            if await started_before(self._target, stop) and await started_before(self._source, stop):
                copying = asyncio.ensure_future(self._copy(thread))
                stopping = asyncio.ensure_future(stop.wait())
                await asyncio.wait({copying, stopping}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if copying.done():
                    copying.result()
        finally:
            if copying is not None:
                await cancel_and_wait(copying)
            thread.stop()
            await self._source.stop()
            await self._target.stop()

    def _arrived(self, delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            message = None
        if not isinstance(message, Request):
            self.counts["not-a-request"] += 1
        elif len(self._waiting) >= self._max_waiting:
            self.counts["dropped"] += 1
        else:
            self._waiting.append((self._routes[delivery.topic], delivery.payload, message.input.frame))
            self._news.set()

    async def _copy(self, thread: Worker) -> None:
        while True:
            self._news.clear()
            while self._waiting:
                topic, payload, frame = self._waiting.popleft()
                if frame is not None and self._shelves is not None:
                    await self._copy_frame(thread, frame, self._shelves)
                try:
                    self._target.publish(topic, payload)
                except QueueFull:
                    self.counts["dropped"] += 1
                else:
                    self.counts["copied"] += 1
            await self._news.wait()

    async def _copy_frame(self, thread: Worker, frame: FrameRef, shelves: Shelves) -> None:
        try:
            fresh = await thread.call(lambda: shelves.target.adopt(frame, shelves.source))
        except (FrameUnavailable, OSError):
            self.counts["frames-missing"] += 1
        else:
            self.counts["frames"] += fresh


def _topic(device: NodeTopics, task: str, stream: Stream) -> str:
    topics = device.task(task)
    return topics.raw if stream == "raw" else topics.input
