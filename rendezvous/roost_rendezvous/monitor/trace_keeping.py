"""Traces: what was said of the newest requests, kept in a ring (memory) and a store (card), and who ran on.

All writing is done by one thread; a card that cannot be written costs the stored traces and is counted, nothing else.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from roost_broker.clock import MS, SECOND, Clock
from roost_broker.messages import Declined, Message, Result, Score, Trace, decode
from roost_broker.topics import is_name
from roost_broker.worker import Worker
from roost_rendezvous.traces.knit import knit, ran_on
from roost_rendezvous.traces.ring import OVERHEAD, Action, Fresh, Noted, Part, Settled, TraceRing
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.slim import slim
from roost_rendezvous.traces.store import RanOn, TraceStore, is_damage, set_aside

_log = logging.getLogger(__name__)
_TIDY_EVERY_NS = 60 * SECOND
_MAX_NAMES = 200
"""Different models counted by name; more would be somebody inventing them."""


class TraceKeeping:
    """`store` is the file. `told` hears of each model that ran on: task, model, nanoseconds that are new."""

    def __init__(
        self,
        store: Path,
        settings: TraceSettings,
        counts: Counter[str],
        clock: Clock,
        told: Callable[[str, str, int], None] | None = None,
    ) -> None:
        self.ring = TraceRing(
            max_bytes=settings.ring_bytes, max_requests=settings.ring_requests, settle_ns=settings.settle_ms * MS
        )
        self._settings = settings
        self._path = store
        self._counts = counts
        self._clock = clock
        self._told = told
        self._store: TraceStore | None = None
        self._fresh: dict[str, Fresh] = {}
        self._fresh_bytes = 0
        self._untidied = 0
        self._ran_on: list[RanOn] = []
        self._tidy_at = 0

    def keep(self, task: str, message: Message) -> None:
        """One message; what belongs to no trace is left out."""
        payload = slim(message)
        if payload is not None and isinstance(message, Trace | Result | Score | Declined):
            part = Part(message.request_id, task, message.message_id, payload, isinstance(message, Trace))
            self._act(self.ring.handle(part, self._clock.monotonic_ns()))

    def expire(self) -> None:
        """Settle what is due."""
        self._act(self.ring.expire(self._clock.monotonic_ns()))

    def finish(self) -> None:
        """Settle everything: nobody will listen any more."""
        self._act(self.ring.finish())

    async def write(self, thread: Worker) -> None:
        """Give what is new to the thread. What it cannot write is counted and left at that."""
        self._fresh |= {one.request_id: one for one in self.ring.fresh()}
        fresh, self._fresh, self._fresh_bytes = list(self._fresh.values()), {}, 0
        late, self._ran_on = self._ran_on, []
        now = self._clock.monotonic_ns()
        tidy = now >= self._tidy_at or self._untidied > self._settings.store_bytes // 8
        if not (fresh or late or tidy):
            return
        if tidy:
            self._tidy_at, self._untidied = now + _TIDY_EVERY_NS, 0
        try:
            new, deleted = await thread.call(self._save, fresh, late, self._clock.wall_ns() // MS, tidy)
        except (sqlite3.Error, OSError) as error:
            if not self._counts["store-failed"]:
                _log.warning("Traces cannot be stored in %s: %s", self._path, error)
            self._counts["store-failed"] += 1
            self._counts["not-stored"] += len(fresh)
            new, deleted = [(one, one.ns) for one in late], 0
        else:
            self._counts["stored"] += len(fresh)
            self._untidied += sum(map(_size, fresh))
        self._counts["deleted"] += deleted
        for late_one, ns in new:
            self._count_ran_on(late_one, ns)

    def close(self) -> None:
        """In the thread: let the file go."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Noted):
                self._counts[action.kind] += 1
            else:
                self._settled(action)

    def _settled(self, settled: Settled) -> None:
        if settled.traced:
            self._counts["settled"] += 1
            if settled.unsaved:
                self._hold(Fresh(settled.request_id, settled.task, settled.parts))
        whole = knit(settled.request_id, map(decode, settled.parts.values()))
        for model, ns in ran_on(whole).items():
            if len(self._ran_on) >= self._settings.ring_requests:
                self._counts["not-stored"] += 1
            elif is_name(model):
                self._ran_on.append(RanOn(settled.request_id, settled.task, model, ns))

    def _hold(self, one: Fresh) -> None:
        """Until the next write. As much as the ring holds, for a card can hang; of more the oldest goes."""
        before = self._fresh.pop(one.request_id, None)
        self._fresh[one.request_id] = one
        self._fresh_bytes += _size(one) - (_size(before) if before is not None else 0)
        while self._fresh_bytes > self._settings.ring_bytes:
            self._fresh_bytes -= _size(self._fresh.pop(next(iter(self._fresh))))
            self._counts["not-stored"] += 1

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
                self.close()
                set_aside(self._path)
            raise

    def _count_ran_on(self, one: RanOn, new_ns: int) -> None:
        name = f"{one.task}/{one.model}"
        named = sum(key.startswith("ran-on ") for key in self._counts)
        if f"ran-on {name}" not in self._counts and named >= _MAX_NAMES:
            name = "others"
        if new_ns:
            self._counts[f"ran-on {name}"] += new_ns == one.ns  # else the same request again, told further
            self._counts[f"ran-on-ms {name}"] += round(new_ns / MS)
            if self._told is not None:
                self._told(one.task, one.model, new_ns)


def _size(one: Fresh) -> int:
    return sum(len(payload) + OVERHEAD for payload in one.parts.values())
