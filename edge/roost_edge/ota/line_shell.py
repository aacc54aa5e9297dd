"""One line at work: gives its machine events and the time, and carries out what it wants, in order.

What takes long (a download, a trial, a schedule's round) runs beside and answers with an event; what must have happened
before the next thing (a write to the card, a process) is waited for.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import RoostError
from roost_broker.worker import Worker
from roost_edge.ota import events as e
from roost_edge.ota.lines import Line
from roost_edge.ota.machine import LineMachine
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.slot_processes import SlotProcesses
from roost_edge.ota.standing import Content, Standing
from roost_edge.ota.task_schedules import TaskSchedules
from roost_edge.ota.trying import NotFit, Workshop

_log = logging.getLogger(__name__)
_MAX_EVENTS = 1000


class Fetcher(Protocol):
    """Brings bundles onto the card; see `registry_desk`."""

    async def fetch(
        self, line: Line, content: Content, held: dict[str, str], progress: Callable[[int, int], None]
    ) -> None:
        """Raises `RoostError` with the reason."""
        ...


class LineShell:
    """See the module. `on_change` is called when a report would say something else, `say` with a marker."""

    def __init__(
        self,
        line: Line,
        machine: LineMachine,
        *,
        folder: OtaFolder,
        fetcher: Fetcher,
        workshop: Workshop,
        slots: SlotProcesses,
        schedules: TaskSchedules,
        thread: Worker,
        clock: Clock,
        counts: Counter[str],
        on_change: Callable[[], None],
        on_standing: Callable[[Line, Standing], None],
        tidy: Callable[[], None],
        say: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        self.line = line
        self.machine = machine
        self._folder = folder
        self._fetcher = fetcher
        self._workshop = workshop
        self._slots = slots
        self._schedules = schedules
        self._thread = thread
        self._clock = clock
        self._counts = counts
        self._on_change = on_change
        self._on_standing = on_standing
        self._tidy = tidy
        self._say = say
        self._events: asyncio.Queue[e.Event] = asyncio.Queue(_MAX_EVENTS)
        self._defect: Exception | None = None
        self._beside: dict[str, asyncio.Task[None]] = {}

    @property
    def downloading(self) -> bool:
        """Whether something of this line lies half on the card."""
        return self.machine.phase in ("downloading", "verifying", "failed")

    def tell(self, event: e.Event) -> None:
        """An event for the machine; of too many at once the newest are left out, and counted."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._counts["events-dropped"] += 1

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                now = self._clock.monotonic_ns()
                await self._perform(self.machine.expire(now))
                due = self.machine.deadline()
                wait = None if due is None else max(0, due - self._clock.monotonic_ns()) / SECOND
                try:
                    event = await within(self._events.get(), wait)
                except TimeoutError:
                    continue
                if self._defect is not None:
                    raise self._defect
                now = self._clock.monotonic_ns()
                await self._perform(self.machine.expire(now))
                await self._perform(self.machine.handle(event, now))
        finally:
            await cancel_and_wait(*self._beside.values())

    async def _perform(self, actions: tuple[e.Action, ...]) -> None:
        for action in actions:
            match action:
                case e.Remember(standing):
                    await self._remember(standing)
                case e.StartSlot(slot):
                    try:
                        await self._slots.start(self.line, slot)
                    except RoostError as error:
                        self.tell(e.SlotFailed(slot, str(error)))
                case e.StopSlot(slot):
                    try:
                        await self._slots.stop(self.line, slot)
                    except RoostError as error:
                        _log.warning("%s: slot %s could not be ended: %s", self.line.key, slot, error)
                case e.Fetch(job, content):
                    self._start("fetch", self._fetch(job, content))
                case e.StopFetch():
                    if (task := self._beside.get("fetch")) is not None:
                        task.cancel()
                case e.Verify(job, content):
                    self._start("try", self._verify(job, content))
                case e.TryInChild(job, content):
                    self._start("try", self._try(job, content))
                case e.PublishSchedule(turn, standing, why):
                    self._start("schedule", self._publish(turn, standing, why))
                case e.Tidy():
                    self._tidy()
                case e.ReportState():
                    self._on_change()
                case e.Marker(kind, detail):
                    _log.info("%s: %s: %s", self.line.key, kind, detail)
                    self._say(kind, detail, {"task": self.line.task, "model": self.line.model})
                case e.Noted(kind):
                    self._counts[kind] += 1

    def _start(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Run beside; an earlier one of its kind has lost its point."""
        if (before := self._beside.get(what)) is not None:
            before.cancel()
        self._beside[what] = asyncio.ensure_future(self._guarded(what, work))

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # raised by `run`: the machine would wait for ever for an answer
            self._defect = error
            self.tell(e.SlotFailed(self.machine.standing.active, f"{what}: {error}"))  # wakes it

    async def _remember(self, standing: Standing) -> None:
        try:
            await self._thread.call(self._folder.write_standing, self.line, standing)
        except OSError as error:
            # A full or dying card must not keep a bad bundle answering: go on, and say it.
            _log.error("how %s stands could not be written: %s", self.line.key, error)
            self._counts["not-remembered"] += 1
        self._on_standing(self.line, standing)

    async def _fetch(self, job: int, content: Content) -> None:
        held = await self._thread.call(self._workshop.held, self.line)
        try:
            await self._fetcher.fetch(
                self.line, content, held, lambda done, total: self.tell(e.Progress(job, done, total))
            )
        except RoostError as error:
            self.tell(e.FetchFailed(job, str(error)))
        else:
            self.tell(e.Fetched(job))

    async def _verify(self, job: int, content: Content) -> None:
        try:
            await self._thread.call(self._workshop.verify, self.line, content)
        except NotFit as error:
            self.tell(e.VerifyFailed(job, error.problem, error.final))
        else:
            self.tell(e.Verified(job))

    async def _try(self, job: int, content: Content) -> None:
        try:
            await self._thread.call(self._workshop.try_it, self.line, content)
        except NotFit as error:
            self.tell(e.GoldensFailed(job, error.problem, error.final))
        else:
            self.tell(e.GoldensPassed(job))

    async def _publish(self, turn: int, standing: Standing, why: str) -> None:
        try:
            await self._schedules.publish(self.line, standing, why)
        except RoostError as error:
            self.tell(e.ScheduleFailed(turn, str(error)))
        else:
            self.tell(e.ScheduleInForce(turn))
