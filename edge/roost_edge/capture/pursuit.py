"""From "accepted" to "archived and answered": publishes requests, hears receipts and results, publishes again.

The shell around `redelivery` (what is published when) and the request log (what is true). Results and receipts are
acknowledged to the broker after they are committed.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SECOND, Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, QueueFull
from roost_broker.messages import Receipt, Result, RoleState, decode
from roost_broker.receipts import GATEWAY, from_gateway
from roost_broker.topics import TaskTopics
from roost_broker.tracing import Tracer, span
from roost_broker.worker import Worker
from roost_edge.capture import forwarding, redelivery
from roost_edge.capture.asking import Asked, Asking
from roost_edge.capture.request_log import Outcome
from roost_edge.capture.settings import CaptureSettings

_log = logging.getLogger(__name__)
_COUNTS = {
    ("result", "recorded"): "answered",
    ("result", "second-answer"): "second-answers",
    ("receipt", "recorded"): "receipts",
    ("receipt", "stranger"): "receipts-of-others",
}
"""Names of what was stored; others are `<outcome>-results` and `<outcome>-receipts`."""


class Pursuit:
    """Subscribes when constructed, so construct it before the bus is started.

    `failed` is asked about everything done on the disk thread: True when it did not work.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        requester: str,
        asking: Asking,
        disk_thread: Worker,
        *,
        clock: Clock,
        reader: str,
        settings: CaptureSettings,
        counts: Counter[str],
        failed: Callable[["asyncio.Future[Any]"], bool],
        tracer: Tracer | None = None,
        forwarded: bool = False,
    ) -> None:
        self._bus = bus
        self._raw = topics.raw
        self._asking = asking
        self._disk_thread = disk_thread
        self._clock = clock
        self._counts = counts
        self._failed = failed
        self._dead_letters = DeadLetters(bus, topics.deadletter, reader, clock)
        self._redelivery = redelivery.Redelivery(settings)
        self._forwarding = forwarding.Forwarding(settings, expected=forwarded)
        self._payloads: dict[str, bytes] = {}
        self._tracer = tracer
        self._traced: dict[str, Asked] = {}  # until they are published for the first time
        self._held_up: set[str] = set()  # accepted while the broker was away, and not published yet
        self._wake = asyncio.Event()
        self.changed = asyncio.Event()
        """Set whenever something may have become less; whoever waits clears it."""
        bus.subscribe(topics.results(requester), self._on_result)
        bus.subscribe(topics.receipts, self._on_receipt)
        if forwarded:
            bus.subscribe(topics.device.role(GATEWAY), self._on_gateway)
        bus.on_connection(lambda up: self._handle(redelivery.LinkChanged(up)))

    def __len__(self) -> int:
        """Open requests."""
        return len(self._redelivery)

    @property
    def forwards(self) -> bool:
        """Whether there is a gateway that gives receipts."""
        return self._forwarding.expected

    @property
    def unforwarded(self) -> int:
        """Requests archived and answered here for which the gateway's receipt is awaited."""
        return len(self._forwarding)

    async def resume(self) -> None:
        """Take up what an earlier process left open."""
        found = await self._disk_thread.call(self._asking.open_requests)
        if not self.forwards:  # there was a gateway, and is none any more
            await self._disk_thread.call(self._asking.forwarded, tuple(left.request_id for left in found))
        for left in found:
            self._payloads[left.request_id] = left.payload
            if not left.forwarded:
                self._forwarding.accepted(left.request_id)
            if left.receipt and left.result:
                now = self._clock.monotonic_ns()
                self._forward(self._forwarding.closed(left.request_id, left.attempts, now))
            else:
                self._handle(redelivery.Accepted(left.request_id, left.attempts, left.receipt, left.result))

    def accepted(self, asked: Asked) -> None:
        """A new request is in the log."""
        self._payloads[asked.request_id] = asked.payload
        self._forwarding.accepted(asked.request_id)
        if asked.steps:
            self._traced[asked.request_id] = asked
        if not self._bus.connected:
            self._held_up.add(asked.request_id)
        self._handle(redelivery.Accepted(asked.request_id))

    async def run(self) -> None:
        """Publish what becomes due, until cancelled."""
        while True:
            now = self._clock.monotonic_ns()
            self._publish(self._redelivery.expire(now))
            due = self._redelivery.deadline()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0, due - now) / SECOND):
                    await self._wake.wait()

    def _handle(self, event: redelivery.Event) -> None:
        now = self._clock.monotonic_ns()
        self._publish((*self._redelivery.expire(now), *self._redelivery.handle(event, now)))
        self._wake.set()
        self.changed.set()

    def _publish(self, actions: Iterable[redelivery.Action]) -> None:
        for action in actions:
            match action:
                case redelivery.Publish(request_id, 1) if request_id in self._held_up:
                    self._held_up.discard(request_id)  # or every model would find that its time is over
                    self._stamp_anew(request_id, 1)
                case redelivery.Publish(request_id, 1):
                    self._send(request_id, self._payloads[request_id])
                case redelivery.Publish(request_id, attempt):
                    self._ask_again(request_id, attempt)
                case redelivery.Closed(request_id, attempts):
                    self._traced.pop(request_id, None)
                    self._forward(self._forwarding.closed(request_id, attempts, self._clock.monotonic_ns()))

    def _forward(self, actions: Iterable[forwarding.Action]) -> None:
        """What is done for the gateway's sake."""
        given_up: list[str] = []
        for action in actions:
            match action:
                case redelivery.Publish(request_id, attempt):
                    self._ask_again(request_id, attempt)
                case forwarding.Done(request_id, lost):
                    self._payloads.pop(request_id, None)
                    if lost:
                        self._counts["unforwarded-given-up"] += 1
                        given_up.append(request_id)
        if given_up:
            self._disk_thread.call(self._asking.forwarded, tuple(given_up)).add_done_callback(self._failed)

    def _ask_again(self, request_id: str, attempt: int) -> None:
        self._counts["republished"] += 1
        self._stamp_anew(request_id, attempt)

    def _stamp_anew(self, request_id: str, attempt: int) -> None:
        payload = self._payloads[request_id]
        again = self._disk_thread.call(self._asking.again, request_id, payload, attempt)
        again.add_done_callback(partial(self._on_again, request_id))

    def _on_again(self, request_id: str, again: "asyncio.Future[bytes]") -> None:
        if not self._failed(again):
            self._send(request_id, again.result())

    def _send(self, request_id: str, payload: bytes) -> None:
        begun = self._clock.monotonic_ns()

        def ended(done: "asyncio.Future[None]") -> None:
            if not done.cancelled() and done.exception() is not None:
                _log.warning("Request %s was not taken by the broker: %s", request_id, done.exception())
            else:
                self._tell(request_id, begun)
            self._ended(request_id)

        try:
            self._bus.publish(self._raw, payload).add_done_callback(ended)
        except QueueFull:
            self._counts["queue-full"] += 1
            self._ended(request_id)

    def _ended(self, request_id: str) -> None:
        self._handle(redelivery.PublicationEnded(request_id))
        self._forward(self._forwarding.ended(request_id, self._clock.monotonic_ns()))

    def _tell(self, request_id: str, begun: int) -> None:
        """The broker has a traced request for the first time."""
        asked = self._traced.pop(request_id, None)
        if self._tracer is not None and asked is not None and asked.request is not None:
            publish = span("publish", begun, self._clock.monotonic_ns())
            self._tracer.publish(asked.request, (*asked.steps, publish))

    # What comes back

    def _on_result(self, delivery: Delivery) -> None:
        arrived_ns = self._clock.monotonic_ns()
        try:
            message = decode(delivery.payload)
        except Malformed as error:
            self._refuse(delivery, str(error))
            return
        if not isinstance(message, Result):
            self._refuse(delivery, f"A {type(message).__name__} on a return address; only results belong there.")
            return
        storing = self._disk_thread.call(self._asking.result, message, delivery.payload, arrived_ns)
        seen = redelivery.ResultSeen(message.request_id)
        storing.add_done_callback(lambda done: self._on_stored(done, delivery, seen, "result"))

    def _on_receipt(self, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
        except Malformed as error:
            self._refuse(delivery, str(error))
            return
        if not isinstance(message, Receipt):
            self._refuse(delivery, f"A {type(message).__name__} among receipts; only receipts belong there.")
            return
        if from_gateway(message):  # safe on its way to the centre; what closes a request is the archive here
            self._on_forwarded(message.request_id, delivery)
            return
        storing = self._disk_thread.call(self._asking.receipt, message)
        seen = redelivery.ReceiptSeen(message.request_id)
        storing.add_done_callback(lambda done: self._on_stored(done, delivery, seen, "receipt"))

    def _on_forwarded(self, request_id: str, delivery: Delivery) -> None:
        self._counts["gateway-receipts"] += 1
        if not self._forwarding.expected:
            delivery.ack()
            return
        storing = self._disk_thread.call(self._asking.forwarded, (request_id,))

        def stored(done: "asyncio.Future[None]") -> None:
            if not self._failed(done):
                self._forward(self._forwarding.receipt(request_id))
                delivery.ack()

        storing.add_done_callback(stored)

    def _on_gateway(self, delivery: Delivery) -> None:
        """It says so at every connection and every few seconds; off, it says nothing, and nothing is asked again."""
        delivery.ack()
        with contextlib.suppress(Malformed):
            message = decode(delivery.payload)
            if isinstance(message, RoleState) and message.state == "ready":
                self._forward(self._forwarding.gateway_ready(self._clock.monotonic_ns()))

    def _refuse(self, delivery: Delivery, reason: str) -> None:
        self._counts["unreadable"] += 1
        self._dead_letters.send(delivery, reason)
        self.changed.set()

    def _on_stored(
        self, storing: "asyncio.Future[Outcome]", delivery: Delivery, seen: redelivery.Event, kind: str
    ) -> None:
        """Committed: now the broker may forget it."""
        if self._failed(storing):
            return  # not acknowledged: it comes again
        outcome = storing.result()
        # A stranger among receipts is another camera's of this task; among results it is an anomaly.
        self._counts[_COUNTS.get((kind, outcome), f"{outcome}-{kind}s")] += 1
        self._handle(seen)
        delivery.ack()
