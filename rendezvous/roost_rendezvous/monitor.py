"""The monitor: hears traces, results and scores of all tasks of a device, keeps the newest, and says who ran on.

One process for the device. It is asked by nobody and holds nobody up: it subscribes with QoS 0, and the broker keeps
nothing for it while it is away. What it keeps is in the ring (memory) and the store (card), both bounded. All writing
is done by one thread; a card that cannot be written costs the stored traces and is counted, nothing else.

Counts in its retained state: `settled` (traced requests told to their end; again when more was said), `stored`,
`deleted`, `not-stored` (the card failed, or a flood came between two writes), the ring's outcomes, and for each model
that computed after an answer had been given `ran-on <task>/<model>` (requests) and `ran-on-ms <task>/<model>`.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import within
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed
from roost_broker.messages import Declined, Message, Result, Score, Trace, decode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import TaskTopics, is_name
from roost_broker.worker import Worker
from roost_rendezvous.traces.knit import knit, ran_on
from roost_rendezvous.traces.ring import OVERHEAD, Action, Fresh, Noted, Part, Settled, TraceRing
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.slim import slim
from roost_rendezvous.traces.store import RanOn, TraceStore, is_damage, set_aside

_log = logging.getLogger(__name__)
_TIDY_EVERY_NS = 60 * SECOND
_LAST_WRITES_S = 5.0
_MAX_NAMES = 200
"""Different models counted by name; more would be somebody inventing them."""


class Monitor:
    """See the module. `bus` is not started; `store` is the file of the traces."""

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
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings or TraceSettings()
        self._bus = bus
        self._tasks = tasks
        self._path = store
        self._clock = clock
        self._role = role
        self.ring = TraceRing(
            max_bytes=self._settings.ring_bytes,
            max_requests=self._settings.ring_requests,
            settle_ns=self._settings.settle_ms * MS,
        )
        self._store: TraceStore | None = None
        self._thread: Worker | None = None
        self._fresh: dict[str, Fresh] = {}
        self._fresh_bytes = 0
        self._untidied = 0
        self._ran_on: list[RanOn] = []
        self._tidy_at = 0
        device = tasks[0].device
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=lambda: self.counts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        for topics in self._tasks:
            letters = DeadLetters(self._bus, topics.deadletter, self._role, self._clock)
            self._bus.subscribe(topics.traces, partial(self._trace_arrived, topics.task, letters), qos=0)
            self._bus.subscribe(topics.all_results, partial(self._word_arrived, topics.task, (Result,)), qos=0)
            self._bus.subscribe(topics.all_scores, partial(self._word_arrived, topics.task, (Score, Declined)), qos=0)
        self._thread = Worker("trace store")
        self._presence.starting()
        try:
            if not await started_before(self._bus, stop):
                return
            self._presence.ready()
            await self._work(stop)
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            await self._last_writes()
            self._thread.stop()
            await self._bus.stop(forget=True)

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
        self._keep(task, message)
        delivery.ack()

    def _word_arrived(self, task: str, kinds: tuple[type, ...], delivery: Delivery) -> None:
        """Unreadable ones are the rendezvous' and the requester's to report."""
        with contextlib.suppress(Malformed):
            message = decode(delivery.payload)
            if isinstance(message, kinds):
                self._keep(task, message)
        delivery.ack()

    def _keep(self, task: str, message: Message) -> None:
        payload = slim(message)
        if payload is not None and isinstance(message, Trace | Result | Score | Declined):
            part = Part(message.request_id, task, message.message_id, payload, isinstance(message, Trace))
            self._act(self.ring.handle(part, self._clock.monotonic_ns()))

    # -- what follows --------------------------------------------------------------------------------------------

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Noted):
                self.counts[action.kind] += 1
            else:
                self._settled(action)

    def _settled(self, settled: Settled) -> None:
        if settled.traced:
            self.counts["settled"] += 1
            if settled.unsaved:
                self._hold(Fresh(settled.request_id, settled.task, settled.parts))
        whole = knit(settled.request_id, map(decode, settled.parts.values()))
        for model, ns in ran_on(whole).items():
            if len(self._ran_on) >= self._settings.ring_requests:
                self.counts["not-stored"] += 1
            elif is_name(model):
                self._ran_on.append(RanOn(settled.request_id, settled.task, model, ns))

    def _hold(self, one: Fresh) -> None:
        """Until the next write. As much as the ring holds, for a card can hang; of more the oldest goes."""
        before = self._fresh.pop(one.request_id, None)
        self._fresh[one.request_id] = one
        self._fresh_bytes += _size(one) - (_size(before) if before is not None else 0)
        while self._fresh_bytes > self._settings.ring_bytes:
            self._fresh_bytes -= _size(self._fresh.pop(next(iter(self._fresh))))
            self.counts["not-stored"] += 1

    async def _work(self, stop: asyncio.Event) -> None:
        said: Counter[str] = Counter()
        pause = self._settings.flush_ms / 1000
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await within(stop.wait(), pause)
            self._act(self.ring.expire(self._clock.monotonic_ns()))
            await self._write()
            if self.counts != said:
                said = Counter(self.counts)
                self._presence.publish()

    async def _write(self) -> None:
        """Give what is new to the thread. What it cannot write is counted and left at that."""
        self._fresh |= {one.request_id: one for one in self.ring.fresh()}
        fresh, self._fresh, self._fresh_bytes = list(self._fresh.values()), {}, 0
        late, self._ran_on = self._ran_on, []
        now = self._clock.monotonic_ns()
        tidy = now >= self._tidy_at or self._untidied > self._settings.store_bytes // 8
        if self._thread is None or not (fresh or late or tidy):
            return
        if tidy:
            self._tidy_at, self._untidied = now + _TIDY_EVERY_NS, 0
        try:
            new, deleted = await self._thread.call(self._save, fresh, late, self._clock.wall_ns() // MS, tidy)
        except (sqlite3.Error, OSError) as error:
            if not self.counts["store-failed"]:
                _log.warning("Traces cannot be stored in %s: %s", self._path, error)
            self.counts["store-failed"] += 1
            self.counts["not-stored"] += len(fresh)
            new, deleted = [(one, one.ns) for one in late], 0
        else:
            self.counts["stored"] += len(fresh)
            self._untidied += sum(map(_size, fresh))
        self.counts["deleted"] += deleted
        for late_one, ns in new:
            self._count_ran_on(late_one, ns)

    def _save(
        self, fresh: Sequence[Fresh], late: Sequence[RanOn], at_ms: int, tidy: bool
    ) -> tuple[list[tuple[RanOn, int]], int]:
        """In the thread: one transaction. Returns what is new of the late work, and how many requests were deleted."""
        if self._store is None:
            self._store = TraceStore(self._path, self._settings)
        store = self._store
        try:
            with store.transaction():
                for one in fresh:
                    store.put(one.request_id, one.task, at_ms, one.parts)
                new = [(one, store.put_ran_on(one, at_ms)) for one in late]
            return new, store.tidy(at_ms) if tidy else 0
        except sqlite3.Error as error:
            if is_damage(error):  # it would fail for ever: the next write begins a new file
                self._close()
                set_aside(self._path)
            raise

    def _count_ran_on(self, one: RanOn, new_ns: int) -> None:
        name = f"{one.task}/{one.model}"
        if f"ran-on {name}" not in self.counts and sum(key.startswith("ran-on ") for key in self.counts) >= _MAX_NAMES:
            name = "others"
        if new_ns:
            self.counts[f"ran-on {name}"] += new_ns == one.ns  # else the same request again, told further
            self.counts[f"ran-on-ms {name}"] += round(new_ns / MS)

    async def _last_writes(self) -> None:
        """Store what is in memory; a card that hangs is not waited for."""
        if self._thread is None:
            return
        self._act(self.ring.finish())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITES_S):
                await self._write()
                await self._thread.call(self._close)

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _size(one: Fresh) -> int:
    return sum(len(payload) + OVERHEAD for payload in one.parts.values())
