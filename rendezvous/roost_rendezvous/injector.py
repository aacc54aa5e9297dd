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
_RETRY_S = 0.2
_STATE_EVERY_S = 5.0


class StateInjector:
    """Shell of the role. A raw request is acknowledged when the broker has taken its input over."""

    def __init__(self, bus: Bus, topics: TaskTopics, *, clock: Clock, node: str, session: int, role: str = "") -> None:
        self.counts: Counter[str] = Counter()
        """Since the process started: injected, dead-letters, waits."""
        self._bus = bus
        self._topics = topics
        self._clock = clock
        self._node = node
        self._waiting: deque[tuple[Delivery, bytes]] = deque()  # no longer than the session's receive maximum
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
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        self._bus.subscribe(self._topics.raw, self._arrived)
        self._bus.on_connection(self._connection)
        stopping = asyncio.ensure_future(stop.wait())
        starting = asyncio.ensure_future(self._bus.start())
        reporting = asyncio.ensure_future(self._report())
        self._presence.starting()
        try:
            await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._presence.ready()
                await stopping
                self._presence.stopped()
        finally:
            for task in (stopping, starting, reporting):
                task.cancel()
            await asyncio.gather(stopping, starting, reporting, return_exceptions=True)
            await self._bus.stop()

    def _arrived(self, delivery: Delivery) -> None:
        try:
            payload = self._inject(delivery.payload)
        except Malformed as error:
            self.counts["dead-letters"] += 1
            self._letters.send(delivery, str(error))
            return
        self._waiting.append((delivery, payload))
        if len(self._waiting) == 1:
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
                asyncio.get_running_loop().call_later(_RETRY_S, self._send)
                return
            self._waiting.popleft()
            done.add_done_callback(partial(self._taken, delivery))

    def _taken(self, delivery: Delivery, done: "asyncio.Future[None]") -> None:
        if done.cancelled() or done.exception() is not None:
            return  # the bus was stopped: the request is delivered again at the next start
        delivery.ack()
        self.counts["injected"] += 1

    def _connection(self, up: bool) -> None:
        if not up:
            self._waiting.clear()  # unacknowledged: they come again

    async def _report(self) -> None:
        said: dict[str, int] = {}
        while True:
            await asyncio.sleep(_STATE_EVERY_S)
            if said != self.counts:
                said = dict(self.counts)
                self._presence.publish()
