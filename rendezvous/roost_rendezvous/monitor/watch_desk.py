"""The watch's shell: what is heard goes into the core and the journal, what the core finds goes to the broker.

1. `hear` handles a message at once, by the time at which it was sent: what waited at the broker is put where it
   belongs. Its acknowledgement follows when the journal has it; so nothing is lost that the broker had.
2. While the backlog of an absence comes in, or the broker is away, time stands still for the core: silence is not
   taken for a stop.
3. What is to be told is noted in the journal first, and not told again when the same observations are handled again.
4. An observation at which a detector fails is left out, counted and told; the same one would end the role again and
   again. So it is with a look.
5. A card that cannot be written costs the memory of the watch over a restart; it is counted, and all else goes on.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, SECOND, Clock, boot_id, looks_synced
from roost_broker.errors import Misuse, RoostError
from roost_broker.messages import Declined, Message, Request, Result, RoleState, Score
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.observed import (
    Acknowledged,
    Observed,
    RanOn,
    Resumed,
    Stepped,
    pack,
    unpack,
)
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.steady import Steady
from roost_rendezvous.monitor.journal import Kept
from roost_rendezvous.monitor.watch_cards import Cards
from roost_rendezvous.monitor.watch_restraint import Restraint
from roost_rendezvous.monitor.watch_telling import Answering, Asked, Telling, answer

if TYPE_CHECKING:  # the core brings numpy, which only a monitor that watches has
    from roost_rendezvous.analytics.watch.parts import Told
    from roost_rendezvous.analytics.watch.watching import Watching

_log = logging.getLogger(__name__)
_WAITED_NS = 5 * SECOND
"""A message so old has waited at the broker: there may be more of them."""
_DRAIN_NS = 3 * SECOND
"""So long without such a message the backlog is over."""
_OLDEST_NS = 24 * 3600 * SECOND
_MOST_WAITING = 20_000
"""Observations that wait for a card that hangs; of more, the newest are not kept over a restart."""
_PAUSE_S = 1.0
_FAILURES_TOLD = 10
"""In the log, with where it came from; all are counted."""


class WatchDesk:
    """See the module. `folder` holds journal, rows and windows. numpy is imported by `begin`, not before."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        tasks: Sequence[str],
        folder: Path,
        *,
        clock: Clock,
        counts: Counter[str],
        settings: AnalyticsSettings,
        role: str = "monitor",
        answering: Answering | None = None,
        boot: str = "",
    ) -> None:
        self._bus = bus
        self._path = folder / "journal.db"
        self._telling = Telling(bus, device, tasks, clock=clock, counts=counts, role=role)
        self._cards = Cards(folder, settings, counts)
        self._clock = clock
        self._counts = counts
        self._settings = settings
        self._role = role
        self._answering = answering
        self._boot = boot or boot_id()
        self._core: Watching | None = None
        self._steady: Steady | None = None
        self._thread: Worker | None = None
        self._waiting: list[bytes] = []
        self._deliveries: list[Delivery] = []
        self._told: list[Told] = []
        self._known: frozenset[str] = frozenset()
        self._wake = asyncio.Event()
        self._behind_until = 0
        self._rows = 0
        """Observations in the journal since the last save."""
        self._saved_at = 0
        self._refresh_at = 0
        self._restraint = Restraint(settings.look_s * SECOND)
        bus.on_connection(self._connected)

    # -- the life of it ----------------------------------------------------------------------------------------------

    async def begin(self, thread: Worker) -> None:
        """Bring back what was known. A journal that cannot be read costs what it knew."""
        self._thread = thread
        self._core = core = await thread.call(self._make)  # the import of numpy would hold up the loop
        kept = Kept(None, [], None, frozenset())
        try:
            kept = await thread.call(self._cards.open)
        except (sqlite3.Error, OSError) as error:
            self._fault("cannot be read", error)
        self._known = kept.told
        self._steady = Steady(
            *(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns()),
            credible=looks_synced(self._clock.wall_ns()),
            kept=kept.steady,
        )
        if kept.saved is not None:
            try:
                core.restore(kept.saved["core"])
            except (RoostError, KeyError, TypeError, ValueError) as error:
                self._fault("was written by another version", error)
                self._core = core = await thread.call(self._make)
        await self._again(kept.observed)
        now = self._steady.now(self._clock.monotonic_ns())
        self._behind_until, self._saved_at = now + _DRAIN_NS, now
        if self._steady.away:
            self._take(Resumed(now, self._steady.away))

    def _make(self) -> "Watching":
        from roost_rendezvous.analytics.watch.watching import Watching
        from roost_rendezvous.analytics.watch.windowing import Windowing

        return Watching(self._settings, Windowing())

    async def _again(self, observed: Sequence[bytes]) -> None:
        for number, body in enumerate(observed):
            try:
                one = unpack(body)
            except Exception as error:  # noqa: BLE001 - whatever it is, it would end the role at every start again
                self._counts["watch-unreadable"] += 1
                _log.warning("an observation in the journal could not be read again: %r", error)
            else:
                self._handle(one)
            if number % 200 == 199:
                await asyncio.sleep(0)
        self._rows = len(observed)
        self._counts["watch-again"] += len(observed)

    def listen(self) -> None:
        """Questions; the bus is not started yet."""
        if self._answering is not None:
            self._answering.listen("alarms", self._asked)
            self._answering.listen("acknowledge", self._acknowledge)

    async def run(self) -> None:
        """Work until cancelled."""
        if self._core is not None:
            self._telling.lists(self._core, everything=True)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _PAUSE_S)
            self._wake.clear()
            self._pass_time()
            await self._flush()

    async def end(self) -> None:
        """The last write; the journal is closed."""
        if self._core is None or self._thread is None:
            return
        self._saved_at = -(2**62)
        await self._flush()
        await self._thread.call(self._cards.close)

    # -- what comes in -----------------------------------------------------------------------------------------------

    def hear(self, task: str, message: Message, delivery: Delivery) -> bool:
        """Handle a message; True: its acknowledgement follows when it is kept."""
        if self._core is None or self._steady is None:
            return False
        if isinstance(message, RoleState) and message.role == self._role:
            return False  # it would hear itself for ever
        monotonic = self._clock.monotonic_ns()
        now = self._steady.now(monotonic)
        if isinstance(message, Request | Result | Score | Declined):
            heard = self._steady.of(message.timestamp * MS, monotonic, within=_OLDEST_NS)
            if now - heard > _WAITED_NS:
                self._behind_until = now + _DRAIN_NS
        elif self._restraint.enough(task, message, monotonic):
            return False
        else:
            heard = self._moment(now)
        payload = delivery.payload if isinstance(message, Request) else b""
        one = observe(message, task, heard, payload=payload, boot=self._boot, monotonic=monotonic)
        if one is None or not self._take(one):
            return False
        self._deliveries.append(delivery)
        return True

    def ran_on(self, task: str, model: str, ns: int) -> None:
        """A model computed after the answer."""
        if self._steady is not None:
            now = self._moment(self._steady.now(self._clock.monotonic_ns()))
            self._take(RanOn(now, "", task, model, ns / MS))

    def _moment(self, now: int) -> int:
        """Now; while a backlog comes in, when the core is: what is newer must not push its time past what is older."""
        reached = self._core.now if self._core is not None else 0
        return min(now, reached) if reached and now < self._behind_until else now

    def _take(self, one: Observed) -> bool:
        self._handle(one)
        if len(self._waiting) >= _MOST_WAITING:
            self._counts["watch-not-kept"] += 1
            return False
        self._waiting.append(pack(one))
        self._wake.set()
        return True

    def _handle(self, one: Observed) -> None:
        if self._core is None:
            return
        try:
            told = self._core.handle(one)
        except Exception as error:  # noqa: BLE001 - rule 4
            self._failed(f"at {type(one).__name__}", error)
        else:
            self._heed(told)

    def _expire(self, now: int) -> None:
        if self._core is None:
            return
        try:
            told = self._core.expire(now)
        except Exception as error:  # noqa: BLE001 - rule 4
            self._failed("at a look", error)
        else:
            self._heed(told)

    def _failed(self, where: str, error: Exception) -> None:
        self._counts["watch-failed"] += 1
        if self._counts["watch-failed"] <= _FAILURES_TOLD:
            _log.error("the watch failed %s; what it was about is left out", where, exc_info=error)

    def _pass_time(self) -> None:
        """Let the core see that time passed, unless it is not known yet what happened in it."""
        if self._core is None or self._steady is None:
            return
        monotonic, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        now = self._steady.now(monotonic)
        away = self._steady.away
        if by := self._steady.look(monotonic, wall, credible=looks_synced(wall)):
            self._take(Stepped(self._moment(now), by))
        if self._steady.away > away:  # a board without a battery learnt what time it is
            now = self._steady.now(monotonic)
            self._take(Resumed(now, self._steady.away - away))
        if self._bus.connected and now >= self._behind_until:
            self._expire(now)
        if now >= self._refresh_at:
            self._refresh_at = now + self._settings.look_s * SECOND
            self._telling.lists(self._core)

    def _heed(self, told: "Sequence[Told]") -> None:
        for one in told:
            if one.key not in self._known:
                self._told.append(one)
                self._wake.set()

    def _connected(self, up: bool) -> None:
        if up and self._steady is not None:
            self._behind_until = self._steady.now(self._clock.monotonic_ns()) + _DRAIN_NS

    # -- the card ----------------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Write what is new, then acknowledge and publish it. A save holds exactly what was handled by now."""
        if self._core is None or self._thread is None or self._steady is None:
            return
        waiting, self._waiting = self._waiting, []
        deliveries, self._deliveries = self._deliveries, []
        told, self._told = self._told, []
        now = self._steady.now(self._clock.monotonic_ns())
        state, closed, rows = None, [], self._core.take_rows()
        if self._due(now, len(waiting)):
            closed = self._core.take_closed()
            state, self._saved_at, self._rows = self._core.snapshot(), now, 0
        if waiting or told or rows or state is not None:
            keys = [one.key for one in told]
            writing = (waiting, keys, rows, self._steady.snapshot(), state, closed, now)
            try:
                await self._thread.call(self._cards.write, *writing)
            except (sqlite3.Error, OSError) as error:
                self._fault("cannot be written", error)
            else:
                self._rows += len(waiting)
        self._counts["watch-rows"] += len(rows)
        self._counts["watch-open"] = self._core.open_requests
        if self._core.left_out:
            self._counts["watch-left-out"] = self._core.left_out
        for delivery in deliveries:
            delivery.ack()
        for one in told:
            self._telling.change(one)
        if told:
            self._telling.lists(self._core)

    def _due(self, now: int, more: int) -> bool:
        full = self._rows + more > self._settings.journal_rows
        return full or now - self._saved_at >= self._settings.save_minutes * 60 * SECOND

    def _fault(self, what: str, error: Exception) -> None:
        if not self._counts["watch-journal-failed"]:
            _log.warning("The watch's journal %s %s: %s", self._path, what, error)
        self._counts["watch-journal-failed"] += 1

    # -- questions -----------------------------------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> None:
        """Every alarm."""
        if self._core is not None and self._answering is not None:
            self._answering.answer(asked, answer(self._core, asked))

    def _acknowledge(self, asked: Asked) -> None:
        """Somebody knows of an alarm."""
        if self._core is None or self._answering is None or self._steady is None:
            return
        wanted, by = str(asked.data.get("alarm", ""))[:64], str(asked.data.get("by", "operator"))[:200]
        try:
            found = self._core.find(wanted)
        except Misuse as error:
            self._answering.refuse(asked, error)
            return
        now = self._moment(self._steady.now(self._clock.monotonic_ns()))
        self._take(Acknowledged(now, found.id, by))
        self._answering.answer(asked, {"alarm": found.id, "sentence": found.headline})
