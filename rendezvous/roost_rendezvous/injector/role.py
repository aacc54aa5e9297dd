"""The state injector: takes each request from `raw`, adds the external state once, puts it on `input`.

It stands before every model, so all of them, the archive and the rendezvous see the same state
(Dunning & Friedman, ch. 3, "Stateful Models"): what is in `input` is archived, and nobody looks anything up later.

* Pure: `keeper` (values, ages, stale rules), `reading` (bytes to a value), `sun`, `adding` (the bytes), `turn` (whose
  turn it is in a hand-over).
* Shells: this module, `sources` (topics, files, commands), `handing_over`, `telling` (what it tells people).

A raw request is acknowledged when the broker has taken its input over. No request waits for a value.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import MS, SECOND, Clock, looks_synced
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import Request, Token
from roost_broker.topics import TaskTopics
from roost_broker.tracing import Tracer
from roost_broker.version import VERSION
from roost_rendezvous.handover import words
from roost_rendezvous.injector.adding import add_state
from roost_rendezvous.injector.diagnosed import Diagnosed
from roost_rendezvous.injector.handing_over import Snapshots, Watcher
from roost_rendezvous.injector.keeper import Given, StateKeeper
from roost_rendezvous.injector.line import Line, Outgoing
from roost_rendezvous.injector.settings import StateValue
from roost_rendezvous.injector.sources import StateSources
from roost_rendezvous.injector.telling import Telling
from roost_rendezvous.injector.traced import InjectorTraces
from roost_rendezvous.injector.turn import (
    Action,
    Inject,
    Leave,
    PassOn,
    ReadSnapshot,
    TookOver,
    Turn,
    Watch,
    WriteSnapshot,
)

_log = logging.getLogger(__name__)

COMPONENT = "injector"
P = ParamSpec("P")


class Raw(NamedTuple):
    """One message of `raw`, read; a token has no request."""

    delivery: Delivery
    request: Request | None = None


class StateInjector:
    """Shell of the role.

    `bus` is unstarted and carries `presence.role_will` for `role`. `listening` is a second one for values that come
    from topics; `watching` a third for an injector that stands by (`standby`) until its predecessor's token. Neither
    needs a will, and what they miss while away is not wanted. `snapshots` is the folder below which a token may name
    one. `in_charge` is told the role whose requests they are from a transition token on.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        *,
        clock: Clock,
        node: str,
        session: int,
        role: str = "",
        values: Mapping[str, StateValue] | None = None,
        listening: Bus | None = None,
        standby: bool = False,
        watching: Bus | None = None,
        snapshots: Path | None = None,
        in_charge: Callable[[str], None] = lambda _: None,
        boot: str = "",
        tracer: Tracer | None = None,
        qa: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Since the process started: injected, dead-letters, waits, dropped; see also keeper, turn and snapshots."""
        self.keeper = StateKeeper(values or {}, self.counts)
        self._own = frozenset(self.keeper.values)
        self._bus = bus
        self._topics = topics
        self._clock = clock
        self._node = node
        self._role = role or f"{COMPONENT}-{topics.task}"
        self._line = Line(bus, topics.input, self.counts, taken=self._taken, refused=self._refused, defect=self._defect)
        self._fatal: asyncio.Future[None] | None = None
        self._letters = DeadLetters(bus, topics.deadletter, COMPONENT, clock)
        self._traces = InjectorTraces(tracer, clock, self.counts)
        self._diagnosed = Diagnosed(bus, topics, clock, self.counts, qa=qa)
        self._turn: Turn[Raw] = Turn(self._role, standby=standby)
        self._turn.counts = self.counts
        self._snapshots = Snapshots(self.keeper, snapshots, topics.task, boot=boot)
        self._snapshots.counts = self.counts
        self._handed_over = asyncio.Event()
        self._in_charge = in_charge
        self._successor = ""
        if standby and watching is None:
            raise Misuse("An injector that stands by needs a bus to watch its predecessor.", "Give `watching`.")
        self._watcher: Watcher[Raw] | None = None
        if standby and watching is not None:
            self._watcher = Watcher(self._turn, watching, topics, clock, self._guarded(self._act))
        self._telling = Telling(
            bus,
            topics,
            self._role,
            self.keeper,
            self._turn,
            session=session,
            clock=clock,
            node=node,
            counts=self.counts,
            refresh=self._compute,
        )
        self._sources = StateSources(self.keeper, listening, clock=clock, problem=self._telling.problem)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, or until its requests are a successor's; then it sets `stop` itself.

        Raises what makes the broker unreachable for good, and whatever is a defect.
        """
        self._fatal = fatal = asyncio.get_running_loop().create_future()
        self._bus.subscribe(self._topics.raw, self._guarded(self._arrived))
        self._bus.on_connection(self._guarded(self._connection))
        stopping = asyncio.ensure_future(stop.wait())
        sources = asyncio.ensure_future(self._sources.run())
        starting = asyncio.ensure_future(self._start())
        reporting = asyncio.ensure_future(self._telling.run())
        handed_over = asyncio.ensure_future(self._handed_over.wait())
        tasks: tuple[asyncio.Future[Any], ...] = (stopping, sources, starting, reporting, handed_over, fatal)
        self._telling.presence.starting()
        try:
            await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._telling.ready()
                working = {stopping, sources, reporting, handed_over, fatal}
                ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
                self._telling.stopped()
                if self._handed_over.is_set():
                    stop.set()
        finally:
            await cancel_and_wait(*tasks)
            self._line.close()
            self._diagnosed.forget()
            if self._watcher is not None:
                await self._watcher.stop()
            await self._bus.stop(forget=self._handed_over.is_set())

    async def _start(self) -> None:
        if self._watcher is not None:
            await self._watcher.start()  # first, or requests seen on raw could have passed on input before
        await self._bus.start()

    # -- defects -------------------------------------------------------------------------------------------------

    def _defect(self, error: Exception) -> None:
        """It ends the role, loudly: left alone it would hold deliveries back until none comes any more."""
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(error)

    def _guarded(self, work: Callable[P, None]) -> Callable[P, None]:
        """For whatever the event loop or a bus calls: they would only report what is raised."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                work(*args, **kwargs)
            except Exception as error:
                self._defect(error)
                raise

        return guarded

    # -- what arrives -------------------------------------------------------------------------------------------

    def _arrived(self, delivery: Delivery) -> None:
        try:
            message = messages.decode(delivery.payload)
            if isinstance(message, Request):
                if self._turn.side == "active":  # the usual case, without a detour
                    self._inject(Raw(delivery, message))
                else:
                    self._act(self._turn.request(message.request_id, Raw(delivery, message)))
            elif isinstance(message, Token):
                if message.old == self._role:
                    self._successor = message.new
                self._act(self._turn.token(message, Raw(delivery), self._clock.monotonic_ns()))
            else:
                raise Malformed(f"A {type(message).__name__} has no business on a raw topic.")
        except Malformed as error:
            self._refuse(delivery, str(error))

    def _refuse(self, delivery: Delivery, why: str) -> None:
        if self._turn.side in ("standby", "over"):  # the other one reports it
            delivery.ack()
            return
        self._refused(delivery, why)

    def _inject(self, raw: Raw) -> None:
        """One request with its state, into the line. The seam for whatever is to happen to requests one by one."""
        if raw.request is None:
            return
        arrived = self._traces.begin(raw.request)
        try:
            payload = self._with_state(raw.request, raw.delivery.payload, self._traces.parent(raw.request, arrived))
            delay_ms = 0
            if raw.request.diagnostics is not None:
                payload, delay_ms = self._diagnosed.meets(raw.request, payload)
        except Malformed as error:
            self._refuse(raw.delivery, str(error))
            return
        if not payload:  # dropped on purpose
            raw.delivery.ack()
            return
        item = Outgoing(raw.delivery, payload, traced=self._traces.injected(raw.request, arrived))
        if delay_ms:
            self._diagnosed.later(delay_ms, self._guarded(partial(self._line.add, item)))
        else:
            self._line.add(item)

    def _with_state(self, request: Request, payload: bytes, parent: str = "") -> bytes:
        given = self._given(request)
        hop = {"node": self._node, "component": COMPONENT, "version": VERSION, "at": given.at_ms}
        if request.state and not self._own.isdisjoint(request.state):
            self.counts["state-overridden"] += len(self._own & request.state.keys())
        try:
            return add_state(payload, given, self._own, hop, parent)
        except Malformed:
            if not given.state:
                raise
            # A request that has no room for the state is still better answered than lost.
            without = add_state(payload, Given(), self._own, hop, parent)
            self.counts["state-no-room"] += 1
            return without

    def _given(self, request: Request) -> Given:
        self._compute()
        return self.keeper.take(request.request_id, self._clock.monotonic_ns(), self._clock.wall_ns() // MS)

    def _compute(self) -> None:
        if not self.keeper.computes:
            return
        wall = self._clock.wall_ns()
        if looks_synced(wall):
            self.keeper.compute(wall, _utc_offset_s(wall), self._clock.monotonic_ns())

    # -- what goes out ------------------------------------------------------------------------------------------

    def _taken(self, item: Outgoing) -> None:
        self._traces.published(item.traced)
        if item.last:
            self._in_charge(self._successor)
            self._handed_over.set()

    def _refused(self, delivery: Delivery, why: str) -> None:
        self.counts["dead-letters"] += 1
        self._letters.send(delivery, why)

    # -- a hand-over --------------------------------------------------------------------------------------------

    def _act(self, actions: tuple[Action[Raw], ...]) -> None:
        """Carry out what `turn` decided, in order."""
        for action in actions:
            match action:
                case Inject(raw):
                    self._inject(raw)
                case PassOn(raw, last):
                    if last:
                        self._diagnosed.hurry()
                    self._line.add(Outgoing(raw.delivery, raw.delivery.payload, last))
                case Leave(raw):
                    raw.delivery.ack()
                case WriteSnapshot(location):
                    self._snapshots.write(location)
                case ReadSnapshot(location):
                    self._read_snapshot(location)
                case Watch(role) if self._watcher is not None:
                    self._watcher.watch(role)
                case TookOver(how):
                    self._took_over(how)

    def _read_snapshot(self, location: str) -> None:
        """And say so: whoever conducts the hand-over waits for it."""
        usable = self._snapshots.read(location)
        why = f"see the log of {self._role}"
        self._telling.standby = words.has_snapshot(Path(location).name) if usable else words.no_snapshot(why)
        self._telling.ready()

    def _took_over(self, how: str) -> None:
        self.counts[f"took-over-{how}"] += 1
        _log.info("requests are ours from here on (%s)", how)
        if self._watcher is not None:
            self._watcher.over()
        self._in_charge(self._role)
        self._telling.ready()

    # -- connection ---------------------------------------------------------------------------------------------

    def _connection(self, up: bool) -> None:
        if up:
            self._line.resume()
            return
        self._line.lost()
        self._diagnosed.forget()
        if self._watcher is not None:
            self._watcher.rest()
        self._turn.connection_lost(last_word_said=self._handed_over.is_set())


def _utc_offset_s(wall_ns: int) -> int:
    return time.localtime(wall_ns // SECOND).tm_gmtoff
