"""The state injector: takes each request from `raw`, adds the external state once, puts it on `input`.

It stands before every model, so all of them, the archive and the rendezvous see the same state
(Dunning & Friedman, ch. 3, "Stateful Models"). This version adds no state of its own: it passes on the state that came
with the request, and its hop of provenance. Fields it does not know are kept.
"""

import asyncio
from collections import Counter, deque
from functools import partial
from typing import Any, cast

import msgspec

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, QueueFull
from roost_broker.messages import MAX_BYTES, Request, with_fields
from roost_broker.presence import RolePresence
from roost_broker.topics import TaskTopics
from roost_broker.version import VERSION

COMPONENT = "injector"
_MAX_HOPS = 32
_MAX_WAITING = 1000
"""Requests that wait for room in the bus's queue. Beyond the receive maximum only what comes with QoS 0."""
_RETRY_S = 0.2
_STATE_EVERY_S = 5.0


class StateInjector:
    """Shell of the role. A raw request is acknowledged when the broker has taken its input over."""

    def __init__(self, bus: Bus, topics: TaskTopics, *, clock: Clock, node: str, session: int, role: str = "") -> None:
        self.counts: Counter[str] = Counter()
        """Since the process started: injected, dead-letters, waits, dropped."""
        self._bus = bus
        self._topics = topics
        self._clock = clock
        self._node = node
        self._waiting: deque[tuple[Delivery, bytes]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._fatal: asyncio.Future[None] | None = None
        self._letters = DeadLetters(bus, topics.deadletter, COMPONENT, clock)
        self._presence = RolePresence(
            bus,
            topics.device,
            role or f"{COMPONENT}-{topics.task}",
            session=session,
            clock=clock,
            counts=lambda: self.counts,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good, and whatever is a defect."""
        self._fatal = fatal = asyncio.get_running_loop().create_future()
        self._bus.subscribe(self._topics.raw, self._guarded)
        self._bus.on_connection(self._connection)
        stopping = asyncio.ensure_future(stop.wait())
        starting = asyncio.ensure_future(self._bus.start())
        reporting = asyncio.ensure_future(self._report())
        tasks: tuple[asyncio.Future[Any], ...] = (stopping, starting, reporting, fatal)
        self._presence.starting()
        try:
            await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._presence.ready()
                ended, _ = await asyncio.wait({stopping, reporting, fatal}, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
                self._presence.stopped()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._drop_waiting()
            await self._bus.stop()

    def _guarded(self, delivery: Delivery) -> None:
        """A defect ends the role, loudly: left alone it would hold deliveries back until none comes any more."""
        try:
            self._arrived(delivery)
        except Exception as error:
            if self._fatal is not None and not self._fatal.done():
                self._fatal.set_exception(error)
            raise

    def _arrived(self, delivery: Delivery) -> None:
        try:
            payload = self._inject(delivery.payload)
        except Malformed as error:
            self.counts["dead-letters"] += 1
            self._letters.send(delivery, str(error))
            return
        if len(self._waiting) >= _MAX_WAITING:
            self.counts["dropped"] += 1
            delivery.ack()
            return
        self._waiting.append((delivery, payload))
        if self._retry is None:
            self._send()

    def _inject(self, payload: bytes) -> bytes:
        request = messages.decode(payload)
        if not isinstance(request, Request):
            raise Malformed(f"A {type(request).__name__} has no business on a raw topic.")
        hop = {"node": self._node, "component": COMPONENT, "version": VERSION, "at": self._clock.wall_ns() // MS}
        provenance = cast("dict[str, Any]", msgspec.json.decode(payload)).get("provenance", {})
        path = [*provenance.get("path", []), hop][-_MAX_HOPS:]
        injected = with_fields(payload, provenance={**provenance, "path": path})
        if len(injected) > MAX_BYTES:
            raise Malformed(f"With its hop the request would be {len(injected)} bytes, over the limit of {MAX_BYTES}.")
        return injected

    def _send(self) -> None:
        """Publish what waits, in order; a full queue is tried again after a while."""
        self._cancel_retry()
        while self._waiting:
            delivery, payload = self._waiting[0]
            try:
                done = self._bus.publish(
                    self._topics.input,
                    payload,
                    response_topic=delivery.response_topic,
                    correlation_data=delivery.correlation_data,
                )
            except QueueFull:
                self.counts["waits"] += 1
                self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._send)
                return
            self._waiting.popleft()
            done.add_done_callback(partial(self._taken, delivery))

    def _taken(self, delivery: Delivery, done: "asyncio.Future[None]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is None:
            self.counts["injected"] += 1
            delivery.ack()
        elif self._bus.connected:  # the broker would not take it, and never will
            self.counts["dead-letters"] += 1
            self._letters.send(delivery, str(error))
        # else the bus was stopped: the request is delivered again at the next start
        if self._waiting:
            self._send()  # there is room for one more

    def _connection(self, up: bool) -> None:
        if not up:
            self._drop_waiting()

    def _drop_waiting(self) -> None:
        """Unacknowledged, they come again."""
        self._waiting.clear()
        self._cancel_retry()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    async def _report(self) -> None:
        said: dict[str, int] = {}
        while True:
            await asyncio.sleep(_STATE_EVERY_S)
            if said != self.counts:
                said = dict(self.counts)
                self._presence.publish()
