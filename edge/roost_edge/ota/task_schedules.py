"""The schedule of one task as the agent keeps it: the operator's is heard, what follows from it is published."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import Clock
from roost_broker.errors import Malformed, PeerError, RoostError
from roost_broker.messages import ScheduleSet, decode
from roost_broker.topics import TaskTopics
from roost_edge.ota.lines import Line
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.schedule_book import AUTHOR, Base, ScheduleBook
from roost_edge.ota.standing import Standing
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.schedule_apply import apply

_log = logging.getLogger(__name__)
_SETTLE_S = 1.0
"""How long the retained schedule may take to arrive behind a connection."""


class TaskSchedules:
    """One task. `new_bus` makes a bus for one publication; `given` is the settings' schedule file."""

    def __init__(
        self,
        topics: TaskTopics,
        lines: tuple[Line, ...],
        given: Schedule,
        folder: OtaFolder,
        new_bus: Callable[[], Bus],
        clock: Clock,
    ) -> None:
        self._topics = topics
        self._folder = folder
        self._new_bus = new_bus
        self._clock = clock
        base, message_id = _first_base(given, folder.base(topics.task))
        self._book = ScheduleBook(topics.task, lines, base, message_id)
        self._standings: dict[Line, Standing] = {}
        self._turn = asyncio.Lock()
        self._heard = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()

    def stands(self, line: Line, standing: Standing) -> None:
        """How a line stands at the start."""
        self._standings[line] = standing

    def arrived(self, delivery: Delivery) -> None:
        """A message on the schedule's topic."""
        try:
            message = decode(delivery.payload) if delivery.payload else None
            if isinstance(message, ScheduleSet):
                self._take(message, retained=delivery.retained)
        except RoostError as error:  # the rendezvous refuses it too, and says so
            _log.info("a schedule on %s is left to the rendezvous: %s", delivery.topic, error)
        delivery.ack()

    async def publish(self, line: Line, standing: Standing, why: str) -> None:
        """Return when this standing counts. Raises `RoostError`."""
        self._standings[line] = standing
        await self._agree(why)

    async def close(self) -> None:
        """Publish nothing any more."""
        await cancel_and_wait(*self._later)

    def _take(self, message: ScheduleSet, *, retained: bool) -> None:
        schedule = schedules.parse(message.schedule)
        outcome = self._book.heard(schedule, author=message.author, message_id=message.message_id, retained=retained)
        self._heard.set()
        if outcome == "base":
            base = Base(
                schedule=message.schedule, author=message.author, why=message.why, message_id=message.message_id
            )
            try:
                self._folder.write_base(self._topics.task, base)
            except OSError as error:  # it is heard again at the next start, from the broker or the rendezvous
                _log.error("the operator's schedule could not be kept: %s", error)
        used = any(standing.used for standing in self._standings.values())
        if outcome == "ours" or (used and outcome != "another-task"):
            again = asyncio.ensure_future(self._follow(message.why))
            self._later.add(again)
            again.add_done_callback(self._later.discard)

    async def _follow(self, why: str) -> None:
        """The operator's schedule is on the topic: put in its place what follows from it."""
        try:
            await self._agree(why)
        except RoostError as error:
            _log.warning("the operator's schedule and the slots do not go together: %s", error)

    async def _agree(self, why: str) -> None:
        async with self._turn:
            if not self._heard.is_set():
                with contextlib.suppress(TimeoutError):  # nobody has published one yet
                    await within(self._heard.wait(), _SETTLE_S)
            wanted = self._book.wanted(self._standings)
            if self._book.on_topic == wanted.version:
                return
            if not self._book.on_topic and not any(standing.used for standing in self._standings.values()):
                return  # nobody has published one, and none of ours is needed: the rendezvous follows its file
            if not self._book.may_publish(wanted.version, self._clock.monotonic_ns()):
                raise PeerError(
                    f"The schedule {wanted.version} was published again and again, and another one takes its place.",
                    "See who else publishes schedules: roost schedule history.",
                )
            applied = await self._apply(wanted, why)
            if applied is not None:
                raise Malformed(f"The rendezvous refuses the schedule {wanted.version}: {applied}")
            self._book.on_topic = wanted.version

    async def _apply(self, wanted: Schedule, why: str) -> str | None:
        """None when it counts, or will as soon as a rendezvous runs; else why it was refused."""
        bus = self._new_bus()
        try:
            applied = await within(
                apply(bus, self._topics, wanted, author=AUTHOR, why=why[:1000], clock=self._clock), 15
            )
        except TimeoutError:
            raise PeerError("No broker takes the schedule.", "It is published again when one does.") from None
        return applied.detail or "no reason given" if applied.outcome == "refused" else None


def _first_base(given: Schedule, kept: Base | None) -> tuple[Schedule, str]:
    """What was heard last; but a file that was edited since it was published counts again from its restart on."""
    if kept is None:
        return given, ""
    try:
        schedule = schedules.parse(kept.schedule)
    except RoostError as error:
        _log.warning("the schedule that was kept cannot be used any more: %s", error)
        return given, ""
    if kept.author == "settings file" and schedule.version != given.version:
        return given, kept.message_id
    return schedule, kept.message_id
