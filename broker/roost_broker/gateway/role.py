"""The gateway as a role: what the device says, durably to the centre; what the centre may say, to the device.

    broker ──▶ intake ──▶ outbox ──▶ dispatcher ──▶ link ──▶ the centre's streams
                 │ acknowledged when durable            pictures ──▶ its bucket `frames`
    broker ◀── down ◀──────────────────────────────────────────── its stream DOWN

The dispatcher decides and does nothing; this module carries out what it says. All of the outbox is done by one thread,
in the order asked for. Nothing here waits for the centre: what cannot travel waits in the outbox.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from sqlite3 import DatabaseError, OperationalError
from typing import Any

from roost_broker.announce import Announcer
from roost_broker.bus import Bus
from roost_broker.cancellation import cancel_and_wait
from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import LaneName, gap_topic
from roost_broker.clock import MS, SECOND, Clock, boot_id
from roost_broker.frames import FrameStore
from roost_broker.gateway.belonging import make_room
from roost_broker.gateway.budget import TokenBucket, frame_is_wanted
from roost_broker.gateway.choosing import Choice
from roost_broker.gateway.dispatch import (
    Action,
    Ask,
    Dispatcher,
    Event,
    Fates,
    GiveUp,
    Linked,
    Load,
    Loaded,
    Noted,
    Renew,
    Send,
    Settle,
    Stored,
)
from roost_broker.gateway.down import Downward
from roost_broker.gateway.intake import Intake
from roost_broker.gateway.link import CentreLink
from roost_broker.gateway.outbox import Added, Outbox
from roost_broker.gateway.pictures import Pictures
from roost_broker.gateway.rows import Row
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.moments import Stamp, age_ns
from roost_broker.presence import RolePresence
from roost_broker.reconnect import ReconnectPolicy
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker

_log = logging.getLogger(__name__)
_STATE_EVERY_S = 10.0
_FLUSH_EVERY_NS = 60 * SECOND
"""What was settled is written down at least so often; until then a restart has to ask the centre about it."""
_LAST_WRITES_S = 5.0


class Gateway:
    """See the module. `bus` is unstarted; `outbox` is this role's file; pictures lie in `stores`."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        settings: GatewaySettings,
        outbox: Path,
        stores: Sequence[FrameStore],
        *,
        clock: Clock,
        session: int,
        role: str = "gateway",
        policy: ReconnectPolicy | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._device = device
        self._settings = settings
        self._stores = stores
        self._clock = clock
        self._boot = boot_id()
        self._choice = Choice(settings, base=device.base, node=device.node)
        self._anothers = make_room(outbox, device.node)
        self._outbox = Outbox(
            outbox,
            boot=self._boot,
            node=device.node,
            max_bytes=settings.max_bytes,
            max_lane_messages=settings.max_lane_messages,
            remembered=settings.remembered,
            max_frames=settings.frames.max_waiting,
            reach=settings.window,
        )
        self._bucket = TokenBucket(settings.rate_bytes_s, settings.burst_bytes, clock.monotonic_ns())
        self._dispatcher = Dispatcher(settings, self._outbox.standing(), self._bucket)
        self._disk = Worker("gateway outbox")
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self._generation: Counter[LaneName] = Counter()  # of a lane's name: answers about an earlier one are dropped
        self._settled: dict[LaneName, tuple[int, int | None]] = {}
        self._settling: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._damaged = False  # the outbox file: the next start must not fail on it again
        self._flush_due = 0
        self._announcer = Announcer(bus, device, role, clock, self.counts)
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=self._state_counts)
        self._link = CentreLink(
            settings.centre,
            name=f"{device.node}-{role}",
            base=device.base,
            clock=clock,
            tell=self._happened,
            linked=self._linked,
            policy=policy,
        )
        self._intake = Intake(
            *(bus, self._choice, self._outbox, self._disk, settings),
            base=device.base,
            boot=self._boot,
            clock=clock,
            pictures=frame_is_wanted(settings.frames, alarmed=True),
            counts=self.counts,
            stored=self._stored,
        )
        self._pictures = Pictures(
            *(self._link, self._outbox, self._disk, stores, settings, self._bucket),
            clock=clock,
            counts=self.counts,
            idle=lambda: self._dispatcher.idle,
        )
        self._down = Downward(
            *(self._link, bus, self._choice), base=device.base, counts=self.counts, refused=self._refused
        )

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises when the outbox cannot be read or written: then nothing may be acknowledged."""
        self._intake.subscribe()
        self._presence.starting()
        try:
            if await started_before(self._bus, stop):
                await self._live(stop)
                self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error) or type(error).__name__)
            self._damaged = isinstance(error, DatabaseError) and not isinstance(error, OperationalError)
            raise
        finally:
            await self._bus.stop()
            await asyncio.wait({self._disk.call(self._end)}, timeout=_LAST_WRITES_S)
            self._disk.stop()

    async def _live(self, stop: asyncio.Event) -> None:
        if self._outbox.put_aside is not None:
            self._announcer.say("outbox-put-aside", f"The outbox was unreadable; it lies in {self._outbox.put_aside}.")
            self.counts["outbox-put-aside"] += 1
        if self._anothers is not None:
            text = f"The outbox was that of another device (a copied card?); it lies in {self._anothers}."
            _log.warning("%s", text)
            self._announcer.say("outbox-of-another", text)
            self.counts["outbox-of-another"] += 1
        self._presence.ready(self._sentence())
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("stop", stop.wait()),
                ("intake", self._intake.run()),
                ("dispatch", self._dispatch()),
                ("centre", self._link.run()),
                ("pictures", self._pictures.run()),
                ("down", self._down.run()),
                ("state", self._report()),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()  # its defect ends the role: an edge dies loudly
        finally:
            await cancel_and_wait(*tasks, *self._asking)

    def _end(self) -> None:
        if self._damaged:
            self._outbox.condemn()
            return
        try:
            self._outbox.settle_all(self._settled)
            self._outbox.flush()
        finally:
            self._outbox.close()

    # -- events ---------------------------------------------------------------------------------------------------

    def _happened(self, event: Event) -> None:
        self._events.append(event)
        self._wake.set()

    def _linked(self, up: bool) -> None:
        self._happened(Linked(up))
        self._down.linked(up)
        self.counts["linked"] += up
        self._presence.ready(self._sentence())

    def _stored(self, added: Added) -> None:
        self._happened(Stored(added.last))
        self._pictures.look()
        if added.dropped:
            lost = ", ".join(f"{count} of {lane}" for lane, count in added.dropped.items())
            data = {str(lane): count for lane, count in added.dropped.items()}
            self._announcer.say("gateway-dropped", f"The outbox is at its bound: {lost} dropped.", data)

    def _refused(self, cause: str, subject: str) -> None:
        self._announcer.say("down-refused", f"{subject}: {cause}.", {"cause": cause})

    async def _dispatch(self) -> None:
        """Carry out what the dispatcher says, event by event."""
        while True:
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            await self._carry_out(self._dispatcher.expire(self._clock.monotonic_ns()))
            self._settle()
            while self._events:
                now = self._clock.monotonic_ns()
                await self._carry_out(self._dispatcher.handle(self._events.popleft(), now))
                self._settle()
            self._pictures.look()
            await self._sleep()

    async def _sleep(self) -> None:
        now = self._clock.monotonic_ns()
        if now >= self._flush_due:
            self._flush_due = now + _FLUSH_EVERY_NS
            self._watched(self._disk.call(self._outbox.flush))
        due = min(self._flush_due, self._dispatcher.deadline() or self._flush_due)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, due - now) / SECOND):
                await self._wake.wait()

    async def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(row):
                    await self._link.publish(self._envelope(row))
                case Load(lane, after):
                    self._load(lane, after)
                case Settle(lane, through, position):
                    self._settled[lane] = (through, position)
                case Ask(lane, position):
                    self._start(self._ask(lane, position, self._generation[lane]))
                case GiveUp(lane, seq):
                    self._watched(self._disk.call(self._outbox.give_up, lane, seq))
                case Renew(lane):
                    await self._renew(lane)
                case Noted(outcome):
                    self.counts[outcome] += 1

    def _settle(self) -> None:
        """Tell the outbox what was settled, many at once: one call is under way at a time."""
        if self._settled and (self._settling is None or self._settling.done()):
            settled, self._settled = self._settled, {}
            self._settling = self._disk.call(self._outbox.settle_all, settled)
            self._settling.add_done_callback(lambda _: self._wake.set())
            self._watched(self._settling)

    def _envelope(self, row: Row) -> Envelope:
        node = self._choice.node(row.topic)
        gap = row.gap_first is not None
        late = age_ns(row.received, Stamp(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns())) // MS
        marked = late > self._settings.late_ms
        self.counts["late"] += marked
        return Envelope(
            topic=gap_topic(node, self._device.base) if gap else row.topic,
            payload=row.payload,
            node=node,
            outbox=self._outbox.name_of(row.lane),
            lane=row.lane,
            seq=row.seq,
            received_ms=max(0, row.received.wall_ns // MS),
            late_ms=late if marked else None,
            retained=row.retained,
            gap=(row.gap_first, row.seq) if row.gap_first is not None else None,
        )

    def _load(self, lane: LaneName, after: int) -> None:
        generation = self._generation[lane]
        loading = self._disk.call(self._outbox.rows_after, lane, after)

        def loaded(done: "asyncio.Future[tuple[Row, ...]]") -> None:
            if done.cancelled() or generation != self._generation[lane]:
                return
            if (error := done.exception()) is not None:
                self._failed(error)
            else:
                self._happened(Loaded(lane, after, done.result()))

        loading.add_done_callback(loaded)

    async def _ask(self, lane: LaneName, position: int | None, generation: int) -> None:
        answer = await self._link.ask(lane, position, self._outbox.name_of(lane), self._choice.nodes)
        if generation == self._generation[lane]:
            self._happened(Fates(lane, None) if answer is None else Fates(lane, answer[0], answer[1]))

    async def _renew(self, lane: LaneName) -> None:
        """A lane takes a new name; what the centre has of it under the old one is not sent again."""
        old = self._outbox.name_of(lane)
        held = await self._link.contents(lane, self._dispatcher.position(lane), old, self._choice.nodes)
        if held is None:
            return  # not now: what was sent without knowing would be there twice
        settled, self._settled = self._settled, {}
        await self._disk.call(self._outbox.settle_all, settled)
        self._generation[lane] += 1
        self._link.hang_up()  # acknowledgements of old numbers must not be taken for new ones
        moved = await self._disk.call(self._outbox.renew, lane, held)
        text = f"The centre knows more {lane} of outbox {old} than we do: they go on as {self._outbox.name_of(lane)}."
        _log.warning("%s %d were waiting.", text, moved)
        self._announcer.say("outbox-renewed", text, {"waiting": moved})
        self._dispatcher.renewed(lane, self._outbox.standing()[lane])
        self._events = deque(one for event in self._events if (one := _without(event, lane)) is not None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        self._watched(task)

    def _watched(self, work: "asyncio.Future[None]") -> None:
        """What fails in the background ends the role."""

        def ended(done: "asyncio.Future[None]") -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                self._failed(error)

        work.add_done_callback(ended)

    def _failed(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._wake.set()

    # -- what it says of itself -----------------------------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_STATE_EVERY_S)
            self._presence.set("ready", self._sentence())

    def _sentence(self) -> str:
        if self._intake.full:
            return "the medium is full: nothing is taken from the broker"
        return "the centre is reachable" if self._link.up else "the centre is away: everything waits in the outbox"

    def _state_counts(self) -> dict[str, int]:
        now = Stamp(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns())
        oldest = max((age_ns(row.received, now) for row in self._dispatcher.oldest()), default=0) // MS
        return {
            **self.counts,
            "link": int(self._link.up),
            "queued": self._dispatcher.waiting,
            "queued-bytes": self._outbox.size,
            "in-flight": self._dispatcher.flying,
            "oldest-age-ms": oldest,
            "frames-waiting": self._outbox.pictures.count,
            "bytes-sent": self._link.bytes_sent,
            "duplicates": self._link.duplicates,
            "denied": self._link.denied,
            "rivals": self._link.rivals,
        }


def _without(event: Event, lane: LaneName) -> Event | None:
    """What is left of an event when a lane's numbers mean nothing any more."""
    match event:
        case Linked():
            return event
        case Stored(last):
            return Stored({other: number for other, number in last.items() if other != lane})
        case _:
            return None if event.lane == lane else event
