"""The rendezvous server: the core on a bus, with a journal and a clock.

Reads `input`, `scores/+`, the retained `schedule` and `models/+/state`; writes each official result to the return
address that the request names. What it promises beyond the core (see `mailbox`):

* A result is in the journal before it is published; a request repeated after a restart gets the same bytes again.
* A request and its scores are acknowledged when their result has reached the broker, up to a bound (see `held`).
* A message that cannot be read goes to the dead letters, with the reason, and is counted. A bad schedule never
  replaces a good one. A request's own schedule is honoured only in QA. No request makes us publish anywhere else
  than to an address of results (see `addresses`).
* A defect in here ends the process, loudly; what was not acknowledged comes again.
* It can hand over to a successor in the other slot, and be one (see `succession`).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from roost_broker.announce import Announcer
from roost_broker.bus import Bus, Delivery, Handler
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import MS, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, Misuse, PeerError
from roost_broker.messages import RoleState, Token, decode
from roost_broker.presence import RolePresence
from roost_broker.refusals import Refusals
from roost_broker.topics import TaskTopics, last_level
from roost_broker.tracing import Tracer
from roost_rendezvous.handover.slots import OTHER_SLOT, role_name
from roost_rendezvous.mailbox.actions import Kind, Noted
from roost_rendezvous.mailbox.events import Event, ModelWord, ScheduleReplaced
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server import reading, results
from roost_rendezvous.server.attainment import Attainment
from roost_rendezvous.server.decision_traces import DecisionTraces
from roost_rendezvous.server.desk import Desk
from roost_rendezvous.server.diagnosed import diagnosed
from roost_rendezvous.server.fairness import WordBudget
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.results import Asked
from roost_rendezvous.server.schedule_history import ScheduleHistory
from roost_rendezvous.server.schedule_keeper import ScheduleKeeper
from roost_rendezvous.server.settings import ServerSettings
from roost_rendezvous.server.succession import Hands, Succession

__all__ = ["RendezvousServer", "ServerSettings"]

_MAX_WAITING = 1000
"""Messages kept until there is a schedule. Beyond the receive maximum only what comes with QoS 0."""
_SETTLE_S = 0.5
"""How long a retained schedule may take to arrive before the given one is published."""
_MAX_LATELY = 256
_OVERTAKES_NS = 250 * MS
"""Words heard in standby, and how long before the token they may have come: another session, another pace."""
_MAX_MODELS = 64
"""Models whose tokens are counted by name."""
_SCORES = "scores"


def _nobody_remembers(_role: str) -> None:
    pass


class RendezvousServer:
    """Shell of the role `rendezvous-<task>`. `journal` is a folder; `boot` is for simulations alone.

    For a hand-over: `slot` is part of the role's name; in `standby` it waits for its transition token; it `resumes`
    when it had met that token and is started again; below `handover` lie the snapshots; `in_charge` is told the role
    that is responsible from a transition token on.

    `scores_bus` is a second session for what models say: a flood there fills a queue of its own with the broker, and
    costs no request. It is started and stopped with the first, which has the will.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        schedule: Schedule | None,
        *,
        clock: Clock,
        journal: Path,
        settings: ServerSettings | None = None,
        node: str,
        session: int,
        role: str = "",
        boot: str = "",
        slot: str = "",
        standby: bool = False,
        resumes: bool = False,
        handover: Path | None = None,
        in_charge: Callable[[str], None] = _nobody_remembers,
        tracer: Tracer | None = None,
        scores_bus: Bus | None = None,
    ) -> None:
        if schedule is not None and schedule.task != topics.task:
            raise Misuse(
                f"The schedule is for the task {schedule.task!r}, the server for {topics.task!r}.",
                "Give each task its own schedule.",
            )
        self.counts: Counter[str] = Counter()
        """Since the process started: requests, answers by cause, and every named outcome."""
        self._settings = settings or ServerSettings()
        self._bus = bus
        self._scores_bus = scores_bus or bus
        self._scores_session = _SCORES if scores_bus is not None else ""
        self._topics = topics
        self._clock = clock
        self._node = node
        self._boot = boot or boot_id()
        self._folder = journal
        self._slot = slot
        self._standby = standby
        self._resumes = resumes
        role = role or role_name(results.COMPONENT, topics.task, slot)
        self._other = role_name(results.COMPONENT, topics.task, OTHER_SLOT[slot])
        self._succession = Succession(
            role,
            self._other,
            handover or journal / "handover",
            standby=standby or resumes,
            counts=self.counts,
            hands=Hands(
                tell=self._tell_now,
                knowledge=lambda handover_id: self._desk.knowledge(handover_id, role),
                answered=lambda: self._desk.answered(),
                say=lambda detail: self._presence.ready(detail),
                in_charge=in_charge,
                idle=lambda: self._desk.idle,
                end=self._end,
                defect=self._defect,
            ),
        )
        self._lately: deque[tuple[int, ModelWord]] = deque(maxlen=_MAX_LATELY if standby else 0)
        self._held = HeldDeliveries(self._settings.held_deliveries)
        self._budget = WordBudget(self._settings.max_words_at_once, self._settings.max_models)
        # Until there is a schedule.
        self._before_schedule: list[tuple[Handler, Delivery]] = []
        self._letters = DeadLetters(bus, topics.deadletter, results.COMPONENT, clock)
        self._announcer = Announcer(bus, topics.device, results.COMPONENT, clock, self.counts)
        self._given = schedule
        self._attainment = Attainment(journal, self.counts)
        self._keeper = ScheduleKeeper(
            bus,
            topics,
            schedule,
            # Its own: requests that ask for what they may not have must not use up what an operator waits to hear.
            Announcer(bus, topics.device, results.COMPONENT, clock, self.counts),
            clock,
            results.COMPONENT,
            history=ScheduleHistory(journal),
            attainment=self._attainment,
            silent=lambda: self._succession.side != "active",
        )
        self._refusals = Refusals(bus, topics, results.COMPONENT, clock, self.counts)
        self._traces = DecisionTraces(tracer, clock, self.counts)
        self._presence = RolePresence(
            bus,
            topics.device,
            role,
            session=session,
            clock=clock,
            counts=self._counts_now,
        )
        self._desk = Desk(
            bus,
            journal,
            slot,
            self._settings,
            clock=clock,
            node=node,
            held=self._held,
            counts=self.counts,
            attainment=self._attainment,
            traces=self._traces,
            defect=self._defect,
        )
        self._fatal: asyncio.Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._connected_once = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises `Misuse` without any schedule, and whatever is a defect."""
        loop = asyncio.get_running_loop()
        self._fatal = loop.create_future()
        self._stop = stop
        self._desk.open()
        if self._given is not None:
            self._begin(self._given)
        self._subscribe()
        self._presence.starting()
        starting = asyncio.ensure_future(self._start_buses())
        tasks = [starting, *map(asyncio.ensure_future, (self._publish_schedule(starting), self._report()))]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await self._until(stopping, tasks)
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            await cancel_and_wait(*tasks, stopping, self._fatal)
            self._desk.pause()
            self._succession.close()
            # Calls no handler any more, so no timer is set anew. Who is not in charge will not be back.
            forget = self._succession.side != "active"
            await asyncio.gather(*(bus.stop(forget=forget) for bus in self._buses()))
            self._desk.close()
            self._attainment.close()

    def _subscribe(self) -> None:
        for bus in self._buses():
            session = self._scores_session if bus is self._scores_bus else ""
            bus.on_connection(partial(self._connection, session))
        self._scores_bus.subscribe(self._topics.all_scores, partial(self._guarded, self._word_arrived))
        for topic_filter, handler in (
            (self._topics.schedule, self._schedule_arrived),
            (self._topics.all_model_states, self._state_arrived),
            (self._topics.input, self._input_arrived),
            (self._topics.device.role(self._other), self._other_said),
        ):
            self._bus.subscribe(topic_filter, partial(self._guarded, handler))

    def _buses(self) -> list[Bus]:
        return [self._bus] if self._scores_bus is self._bus else [self._bus, self._scores_bus]

    async def _start_buses(self) -> None:
        """Both before we say that we are ready."""
        await asyncio.gather(*(bus.start() for bus in self._buses()))

    async def _until(self, stopping: "asyncio.Future[Any]", tasks: "Sequence[asyncio.Future[Any]]") -> None:
        """Return at `stopping`; raise what any task or handler raised."""
        waiting = {stopping, *tasks}
        if self._fatal is not None:
            waiting.add(self._fatal)
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
            if tasks[0] in done:
                self._connected_once = True
                self._say_ready()

    def _say_ready(self) -> None:
        """A successor without the schedule could not take over."""
        if self._connected_once and (self._desk.core is not None or not self._standby):
            self._presence.ready(self._succession.detail)

    def _begin(self, schedule: Schedule) -> None:
        """Now there is a schedule: decide, first on what came before it."""
        self._desk.begin(schedule, standby=self._standby or self._resumes)
        if self._resumes:
            self._succession.resume()
        if self._standby:
            self._say_ready()
        waiting, self._before_schedule = self._before_schedule, []
        for handler, delivery in waiting:
            handler(delivery)

    async def _publish_schedule(self, starting: "asyncio.Future[None]") -> None:
        """Give the retained topic a moment to speak first; without any schedule, wait for it so long and no longer.

        Counted from the connection: a broker that is not there yet has said nothing.
        """
        await asyncio.wait({starting})
        if self._desk.core is not None:
            await asyncio.sleep(_SETTLE_S)
            self._keeper.publish_given()
            return
        await asyncio.sleep(self._settings.schedule_wait_ms / 1000)
        if self._desk.core is None:
            raise Misuse(
                f"There is no schedule for {self._topics.task}: none was given, and {self._topics.schedule} has none.",
                "Name a schedule file in the settings, or publish one (retained).",
            )

    async def _report(self) -> None:
        """Counts in the retained state, when they have changed."""
        said: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._settings.state_every_ms / 1000)
            self._attainment.write_when_due(self._clock.monotonic_ns())
            counts = self._counts_now()
            if counts != said:
                said = counts
                self._presence.publish()

    def _counts_now(self) -> dict[str, int]:
        core = self._desk.core
        open_now = core.open_count if core is not None else 0
        return {**self.counts, "open": open_now, "held": len(self._held)}

    # arrivals

    def _input_arrived(self, delivery: Delivery) -> None:
        core = self._desk.core
        if core is None:
            self._wait_for_schedule(self._input_arrived, delivery)
            return
        try:
            asked = reading.read_input(delivery, self._topics)
            if isinstance(asked, Token):
                self._succession.token(asked)
                delivery.ack()
                return
        except PeerError as error:
            self._refuse(delivery, error)
            return
        active = self._succession.side == "active"
        self.counts["requests"] += active
        self._budget.request_arrived()
        if active and asked.request.diagnostics is not None:
            version = core.schedule_version
            asked = diagnosed(asked, self._refusals, qa=self._settings.qa, schedule_version=version)
            if asked.diagnosis.fault is not None and asked.diagnosis.fault.kind == "error":
                self.counts["fault-error"] += 1
                self._refuse(delivery, PeerError("An error on purpose: the request asked the rendezvous for it."))
                return
        now = self._clock.monotonic_ns()
        self._traces.arrived(asked.request, now)
        event = reading.to_event(asked, self._boot, now, self._override(asked) if active else None)
        self._held.hold(event.request_id, delivery)
        actions = self._desk.tell(event, now)
        if not core.knows(event.request_id) and any(
            isinstance(action, Noted) and action.kind is Kind.REPEATED_REQUEST for action in actions
        ):  # answered once, and the answer is lost: better another than none
            self._desk.tell(event, now)

    def _word_arrived(self, delivery: Delivery) -> None:
        core = self._desk.core
        if core is None:
            self._wait_for_schedule(self._word_arrived, delivery)
            return
        now = self._clock.monotonic_ns()
        if not self._budget.allows(last_level(delivery.topic), now):
            self.counts["word-over-budget"] += 1
            delivery.ack()
            return
        try:
            word = reading.read_word(delivery)
        except PeerError as error:
            self._refuse(delivery, error)
            return
        if isinstance(word, Token):
            self._token_passed_on(last_level(delivery.topic))
            delivery.ack()
            return
        if self._succession.side == "standby":
            self._lately.append((now, word))
        actions = self._desk.tell(word, now)
        refused = any(isinstance(action, Noted) and action.event_id == word.message_id for action in actions)
        if not refused and (core.is_open(word.request_id) or word.request_id in self._held):
            self._held.hold(word.request_id, delivery, self._scores_session)
        else:
            delivery.ack()

    def _state_arrived(self, delivery: Delivery) -> None:
        core = self._desk.core
        if core is None:
            self._wait_for_schedule(self._state_arrived, delivery)
            return
        try:
            event = reading.read_state(delivery)
        except PeerError as error:
            self._refuse(delivery, error)
            return
        self._desk.tell(event, self._clock.monotonic_ns())
        delivery.ack()

    def _wait_for_schedule(self, handler: Handler, delivery: Delivery) -> None:
        if len(self._before_schedule) < _MAX_WAITING:
            self._before_schedule.append((handler, delivery))
        else:
            self.counts["dropped-before-schedule"] += 1
            delivery.ack()

    def _schedule_arrived(self, delivery: Delivery) -> None:
        try:
            taken = self._keeper.arrived(delivery)
        except PeerError as error:
            self.counts["schedule-refused"] += 1
            self._refuse(delivery, error)
            return
        if taken is not None:
            message_id, schedule = taken
            if self._desk.core is None:
                self._begin(schedule)
            else:
                event = ScheduleReplaced(message_id=message_id, schedule=schedule)
                self._desk.tell(event, self._clock.monotonic_ns())
        delivery.ack()

    def _override(self, asked: Asked) -> Schedule | None:
        """The request's own schedule, where that is allowed; else the request is decided like any other."""
        diagnostics = asked.request.diagnostics
        if diagnostics is None or diagnostics.schedule is None:
            return None
        data = {"task": self._topics.task, "requestId": asked.request.request_id}
        if not self._settings.qa:
            self.counts["override-refused"] += 1
            self._announcer.say("override-refused", "A request's own schedule is honoured only in QA.", data)
            return None
        try:
            return reading.parse_for(self._topics.task, diagnostics.schedule)
        except PeerError as error:
            self.counts["override-unusable"] += 1
            self._announcer.say("override-unusable", str(error), data)
            return None

    def _refuse(self, delivery: Delivery, error: PeerError) -> None:
        self.counts["dead-letters"] += 1
        self._letters.send(delivery, str(error))

    # a hand-over

    def _other_said(self, delivery: Delivery) -> None:
        delivery.ack()
        try:
            state = decode(delivery.payload) if delivery.payload else None
        except Malformed:
            return
        if state is None or isinstance(state, RoleState):
            self._succession.other_said(state)

    def _token_passed_on(self, model: str) -> None:
        """A model has read the stream to the token."""
        name = f"tokens-{model}"
        if name in self.counts or sum(one.startswith("tokens-") for one in self.counts) < _MAX_MODELS:
            self.counts[name] += 1

    def _tell_now(self, event: Event) -> None:
        """What comes out of a hand-over. Words that overtook the token belong to requests behind it."""
        core, now = self._desk.core, self._clock.monotonic_ns()
        if core is None:
            return
        for action in self._desk.tell(event, now):
            repeated = isinstance(action, Noted) and action.kind is Kind.REPEATED_REQUEST
            if repeated and not core.knows(action.request_id):
                self._held.release(action.request_id)  # its answer is lost; asked again, it is answered anew
        if not core.standby:
            lately, self._lately = self._lately, deque(maxlen=0)
            for at, word in lately:
                if now - at <= _OVERTAKES_NS:
                    self._desk.tell(word, now)

    def _end(self) -> None:
        if self._stop is not None:
            self._stop.set()

    # trouble

    def _connection(self, session: str, up: bool) -> None:
        if up:
            return
        self._held.forget(session)
        if self._scores_bus is self._bus:
            self._before_schedule.clear()
            return
        words_lost = session == _SCORES  # the others are still to be acknowledged
        waiting = self._before_schedule
        self._before_schedule = [entry for entry in waiting if (entry[0] == self._word_arrived) != words_lost]

    def _guarded(self, handler: Handler, delivery: Delivery) -> None:
        try:
            handler(delivery)
        except Exception as error:
            self._defect(error)
            raise

    def _defect(self, error: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(error)
