"""The monitor: hears requests, results, scores and traces of all tasks of a device. One process for the device.

It is asked by nobody for a decision and holds nobody up. Two jobs lie behind its one session: `trace_keeping` keeps the
newest traces and says who ran on; `watching` learns what is normal and tells what is strange (`[analytics]`; off, the
monitor keeps nothing at the broker while it is away, and never imports numpy).

Counts in its retained state: `settled` (traced requests told to their end; again when more was said), `stored`,
`deleted`, `not-stored` (the card failed, or a flood came between two writes), the ring's outcomes, and for each model
that computed after an answer had been given `ran-on <task>/<model>` (requests) and `ran-on-ms <task>/<model>`.
Those of the watch begin with `watch-`.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed
from roost_broker.messages import (
    Declined,
    Event,
    Message,
    ModelState,
    Request,
    Result,
    RoleState,
    Score,
    Token,
    Trace,
    decode,
)
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import TaskTopics
from roost_broker.worker import Worker
from roost_rendezvous.monitor.trace_keeping import TraceKeeping
from roost_rendezvous.monitor.watch_desk import WatchDesk
from roost_rendezvous.traces.settings import TraceSettings

_LAST_WRITES_S = 5.0


class Monitor:
    """See the module. `bus` is not started; `store` is the file of the traces.

    `watch` makes the watch, told how to ask for its thread's work; None: there is none.
    """

    def __init__(
        self,
        bus: Bus,
        tasks: Sequence[TaskTopics],
        store: Path,
        *,
        clock: Clock,
        node: str,
        session: int,
        settings: TraceSettings | None = None,
        role: str = "monitor",
        watch: Callable[[Counter[str]], WatchDesk] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings or TraceSettings()
        self._bus = bus
        self._tasks = tasks
        self._clock = clock
        self._role = role
        self._thread: Worker | None = None
        self.watch = watch(self.counts) if watch is not None else None
        told = self.watch.ran_on if self.watch is not None else None
        self.traces = TraceKeeping(store, self._settings, self.counts, clock, told)
        device = tasks[0].device
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=lambda: self.counts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        self._thread = Worker("monitor store")
        self._subscribe()
        self._presence.starting()
        # It brings back what it knew while everything else works already: that may take a minute, and holds up nobody.
        watching = asyncio.create_task(self._watch(self._thread, stop), name="watch")
        try:
            if not await started_before(self._bus, stop):
                return
            self._presence.ready()
            await self._work(stop)
            if watching.done():
                watching.result()  # its defect ends the role: an edge dies loudly
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            await self._last_writes(self._thread, watching)
            if self.watch is not None:
                self.watch.stop()
            await cancel_and_wait(watching)
            self._thread.stop()
            # With a watch the broker keeps what comes while it is away: a restart is to leave no gap.
            await self._bus.stop(forget=self.watch is None)

    def _subscribe(self) -> None:
        qos = 0 if self.watch is None else 1
        for topics in self._tasks:
            letters = DeadLetters(self._bus, topics.deadletter, self._role, self._clock)
            hear = partial(self._word_arrived, topics.task)
            self._bus.subscribe(topics.traces, partial(self._trace_arrived, topics.task, letters), qos=0)
            self._bus.subscribe(topics.all_results, partial(hear, (Result,)), qos=qos)
            self._bus.subscribe(topics.all_scores, partial(hear, (Score, Declined)), qos=qos)
            if self.watch is not None:
                self._bus.subscribe(topics.input, partial(hear, (Request, Token)))
                self._bus.subscribe(topics.all_model_states, partial(hear, (ModelState,)), qos=0)
        if self.watch is not None:
            device = self._tasks[0].device
            self._bus.subscribe(device.event, partial(self._word_arrived, "", (Event,)), qos=0)
            self._bus.subscribe(device.all_roles, partial(self._word_arrived, "", (RoleState,)), qos=0)
            self.watch.listen()

    # -- what arrives --------------------------------------------------------------------------------------------

    def _trace_arrived(self, task: str, letters: DeadLetters, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
            if not isinstance(message, Trace):
                raise Malformed(f"A {type(message).__name__} is no trace.")
        except Malformed as error:
            self.counts["dead-letters"] += 1
            letters.send(delivery, str(error))
            return
        self._keep(task, message, delivery)

    def _word_arrived(self, task: str, kinds: tuple[type, ...], delivery: Delivery) -> None:
        """Unreadable ones are the rendezvous' and the requester's to report."""
        with contextlib.suppress(Malformed):
            message = decode(delivery.payload)
            if isinstance(message, kinds):
                self._keep(task, message, delivery)
                return
        delivery.ack()

    def _keep(self, task: str, message: Message, delivery: Delivery) -> None:
        if task:
            self.traces.keep(task, message)
        if self.watch is None or not self.watch.hear(task, message, delivery):
            delivery.ack()

    # -- what follows --------------------------------------------------------------------------------------------

    async def _watch(self, thread: Worker, stop: asyncio.Event) -> None:
        try:
            if self.watch is not None:
                await self.watch.run(thread)
        except Exception:
            stop.set()
            raise

    async def _work(self, stop: asyncio.Event) -> None:
        said: dict[str, int] = {}
        pause = self._settings.flush_ms / 1000
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await within(stop.wait(), pause)
            self.traces.expire()
            if self._thread is not None:
                await self.traces.write(self._thread)
            if dict(self.counts) != said:  # as a dict: a Counter takes a new name with 0 for no news
                said = dict(self.counts)
                self._presence.publish()

    async def _last_writes(self, thread: Worker, watching: "asyncio.Task[None]") -> None:
        """Store what is in memory; a card that hangs is not waited for."""
        self.traces.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITES_S):
                await self.traces.write(thread)
                await thread.call(self.traces.close)
                if self.watch is not None:
                    await self.watch.end(watching)
