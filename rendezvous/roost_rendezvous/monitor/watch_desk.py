"""The watch's shell: what is heard goes into the journal and then to the core, what that finds goes to the broker.

1. `hear` notes a message at once, with the time at which it was sent: what waited at the broker is put where it
   belongs. Its acknowledgement follows when the journal has it; so nothing is lost that the broker had. Then it is
   handled, in the order of the journal (`watch_working`).
2. While the backlog of an absence comes in, while something waits to be handled, or while the broker is away, time
   stands still for the core: silence is not taken for a stop. That time passed is an observation like any other.
3. What is to be told is noted in the journal first, and not told again when the same observations are handled again.
4. An observation at which a detector fails is left out, counted and told; the same one would end the role again and
   again. So it is with a look.
5. A card that cannot be written costs the memory of the watch over a restart; it is counted, and all else goes on.
6. Whatever waits is bounded: beyond it nothing more is acknowledged, and what nobody keeps is counted.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import within
from roost_broker.clock import MS, SECOND, Clock, boot_id, looks_synced
from roost_broker.messages import Declined, Message, Request, Result, RoleState, Score
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.observed import Acknowledged, Observed, Passed, RanOn, Resumed, Stepped, pack
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.steady import Steady
from roost_rendezvous.monitor.journal import Head
from roost_rendezvous.monitor.watch_cards import Cards
from roost_rendezvous.monitor.watch_questions import Questions
from roost_rendezvous.monitor.watch_restraint import Restraint
from roost_rendezvous.monitor.watch_telling import Answering, Telling
from roost_rendezvous.monitor.watch_working import Working

_log = logging.getLogger(__name__)
_WAITED_NS = 5 * SECOND
"""A message so old has waited at the broker: there may be more of them."""
_DRAIN_NS = 3 * SECOND
"""So long without such a message the backlog is over."""
_OLDEST_NS = 24 * 3600 * SECOND
_MOST_WAITING = 2_000
"""Messages that wait for the card; what the broker does not hold back is not kept beyond it."""
_PAUSE_S = 1.0


class WatchDesk:
    """See the module. `folder` holds journal, rows and windows."""

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
        self._look_ns = settings.look_s * SECOND
        self._role = role
        self._boot = boot or boot_id()
        self._steady: Steady | None = None
        self._thread: Worker | None = None
        self._early: list[tuple[str, Message, Delivery, int]] = []
        """Heard before it was known what time it is."""
        self._heard: list[tuple[Observed, Delivery | None]] = []
        """Not in the journal yet."""
        self._known: frozenset[str] = frozenset()
        """Told before the start."""
        self._wake = asyncio.Event()
        self._behind_until = 0
        self._reached = 0
        """How far the time of everything heard has come: where the core will be when it has handled that."""
        self._ending = False
        self._restraint = Restraint(self._look_ns)
        self._working = Working(
            *(self._cards, settings, ("", *tasks)), clock=clock, counts=counts, news=self._wake.set, fault=self._fault
        )
        self._worker: asyncio.Task[None] | None = None
        self._questions = Questions(answering, self._working, self._acknowledged) if answering is not None else None
        bus.on_connection(self._connected)

    # -- the life of it ----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Questions; the bus is not started yet."""
        if self._questions is not None:
            self._questions.listen()

    async def run(self, thread: Worker) -> None:
        """Work until `end`. `thread` is that of the card; the core has one of its own."""
        self._thread = thread
        await self._open(thread)
        self._worker = asyncio.create_task(self._working.run(thread), name="watch core")
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                await within(self._wake.wait(), _PAUSE_S)
            self._wake.clear()
            self._pass_time()
            await self._flush()
            if self._worker.done() and not self._ending:
                self._worker.result()  # its defect ends the role

    async def end(self, running: "asyncio.Task[None]") -> None:
        """The last save and the last write; the journal is closed. `running` is the task of `run`."""
        self._ending = True
        self._wake.set()
        await asyncio.gather(running, return_exceptions=True)
        if self._worker is None or self._thread is None:
            return
        await self._flush()  # what was heard until now
        await self._working.end(self._worker)
        await self._flush()
        await self._thread.call(self._cards.close)

    def stop(self) -> None:
        """Whatever is going on: it is not waited for. What was not saved is handled again at the next start."""
        if self._worker is not None:
            self._worker.cancel()
        if self._questions is not None:
            self._questions.stop()
        self._working.stop()

    async def _open(self, thread: Worker) -> None:
        """Find out what time it is and what was told. A journal that cannot be read costs what it knew."""
        head = Head(0, 0, None, frozenset())
        try:
            head = await thread.call(self._cards.open)
        except (sqlite3.Error, OSError) as error:
            self._fault("cannot be read", error)
        monotonic, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        kept = head.steady if isinstance(head.steady, dict) else {}
        make = partial(Steady, self._boot, monotonic, wall, credible=looks_synced(wall))
        try:
            steady, self._reached = make(kept=kept.get("steady")), int(kept.get("reached", 0))
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            self._fault("does not tell its time", error)
            steady = make()
        self._known, self._steady = head.told, steady
        self._working.line.found(head.upto, head.newest)
        now = steady.now(monotonic)
        self._behind_until = now + _DRAIN_NS
        if steady.away:
            self._take(Resumed(now, steady.away))
        early, self._early = self._early, []
        for task, message, delivery, at in early:
            if not self._observe(task, message, delivery, at):
                delivery.ack()

    # -- what comes in -----------------------------------------------------------------------------------------------

    def hear(self, task: str, message: Message, delivery: Delivery) -> bool:
        """Note a message; True: its acknowledgement follows when it is kept."""
        if isinstance(message, RoleState) and message.role == self._role:
            return False  # it would hear itself for ever
        monotonic = self._clock.monotonic_ns()
        if self._steady is not None:
            return self._observe(task, message, delivery, monotonic)
        if len(self._early) >= _MOST_WAITING:
            self._counts["watch-not-kept"] += 1
            return False
        self._early.append((task, message, delivery, monotonic))
        return True

    def ran_on(self, task: str, model: str, ns: int) -> None:
        """A model computed after the answer."""
        if self._steady is None:
            self._counts["watch-not-kept"] += 1
            return
        now = self._moment(self._steady.now(self._clock.monotonic_ns()))
        self._take(RanOn(now, "", task, model, ns / MS))

    def _acknowledged(self, alarm: str, by: str) -> bool:
        """Somebody knows of an alarm."""
        if self._steady is None:
            return False
        return self._take(Acknowledged(self._moment(self._steady.now(self._clock.monotonic_ns())), alarm, by))

    def _observe(self, task: str, message: Message, delivery: Delivery, monotonic: int) -> bool:
        if self._steady is None:
            return False
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
        return one is not None and self._take(one, delivery)

    def _moment(self, now: int) -> int:
        """Now; while a backlog comes in, when that is: what is newer must not push the time past what is older."""
        return min(now, self._reached) if self._reached and now < self._behind_until else now

    def _take(self, one: Observed, delivery: Delivery | None = None) -> bool:
        if len(self._heard) >= _MOST_WAITING:
            self._counts["watch-not-kept"] += 1
            return False
        self._reached = max(self._reached, one.heard)
        self._heard.append((one, delivery))
        self._wake.set()
        return True

    def _pass_time(self) -> None:
        """Let the core see that time passed, unless it is not known yet what happened in it."""
        if self._steady is None:
            return
        monotonic, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        now = self._steady.now(monotonic)
        away = self._steady.away
        if by := self._steady.look(monotonic, wall, credible=looks_synced(wall)):
            self._take(Stepped(self._moment(now), by))
        if self._steady.away > away:  # a board without a battery learnt what time it is
            now = self._steady.now(monotonic)
            self._take(Resumed(now, self._steady.away - away))
        if self._bus.connected and now >= self._behind_until and self._working.idle and not self._heard:
            stands = self._working.stands
            settles = stands is not None and stands.deadline is not None and stands.deadline <= now
            if settles or now // self._look_ns > self._reached // self._look_ns:
                self._take(Passed(now))

    def _connected(self, up: bool) -> None:
        if up and self._steady is not None:
            self._behind_until = self._steady.now(self._clock.monotonic_ns()) + _DRAIN_NS
            self._telling.forget()
            self._working.say_again()

    # -- the card ----------------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Write what is new, then acknowledge it, have it handled, and publish what came of what was before it."""
        work = self._working
        if self._thread is None or self._steady is None:
            return
        heard: list[tuple[Observed, Delivery | None]] = []
        if not work.full:
            heard, self._heard = self._heard, heard
        told, work.told = [one for one in work.told if one.key not in self._known], []
        if work.idle:
            self._known = frozenset()  # of what is handled again nothing is left
        rows, work.rows = work.rows, []
        saving, work.saving, newest = work.saving, None, 0
        if heard or told or rows or saving is not None:
            steady = {"steady": self._steady.snapshot(), "reached": self._reached}
            now = self._steady.now(self._clock.monotonic_ns())
            bodies, keys = [pack(one) for one, _ in heard], [one.key for one in told]
            try:
                newest = await self._thread.call(self._cards.write, bodies, keys, rows, steady, saving, now)
            except (sqlite3.Error, OSError) as error:
                self._fault("cannot be written", error)
        self._counts["watch-rows"] += len(rows)
        if work.stands is not None:
            self._counts["watch-open"] = work.stands.open_requests
            self._counts["watch-left-out"] = work.stands.left_out
        for _, delivery in heard:
            if delivery is not None:
                delivery.ack()
        if heard:
            work.line.add([one for one, _ in heard], newest)
            work.more()
        for change in told:
            self._telling.change(change)
        overviews, work.overviews = work.overviews, None
        if overviews is not None:
            self._telling.lists(overviews)

    def _fault(self, what: str, error: Exception) -> None:
        if not self._counts["watch-journal-failed"]:
            _log.warning("The watch's journal %s %s: %s", self._path, what, error)
        self._counts["watch-journal-failed"] += 1
