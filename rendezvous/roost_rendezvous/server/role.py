"""The rendezvous server: the core on a bus, with a journal and a clock.

Reads `input`, `scores/+`, the retained `schedule` and `models/+/state`; writes each official result to the return
address that the request names. What it promises beyond the core (see `mailbox`):

* A result is in the journal before it is published; a request repeated after a restart gets the same bytes again.
* A request and its scores are acknowledged when their result has reached the broker, up to a bound (see `held`).
* A message that cannot be read goes to the dead letters, with the reason, and is counted. A bad schedule never
  replaces a good one. A request's own schedule is honoured only in QA. No request makes us publish anywhere else
  than to an address of results (see `addresses`).
* A defect in here ends the process, loudly; what was not acknowledged comes again.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from roost_broker.bus import Bus, Delivery, Handler
from roost_broker.clock import Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Misuse, PeerError
from roost_broker.presence import RolePresence
from roost_broker.topics import TaskTopics
from roost_rendezvous.mailbox.actions import Action, Answer, Closed, Kind, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import Event, ScheduleReplaced
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server import reading, results
from roost_rendezvous.server.announce import Announcer
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.journal import AnswerJournal, Stored
from roost_rendezvous.server.publisher import ResultPublisher
from roost_rendezvous.server.results import Asked
from roost_rendezvous.server.schedule_keeper import ScheduleKeeper
from roost_rendezvous.server.settings import ServerSettings

__all__ = ["RendezvousServer", "ServerSettings"]

_MAX_WAITING = 1000
"""Messages kept until there is a schedule. Beyond the receive maximum only what comes with QoS 0."""
_SETTLE_S = 0.5
"""How long a retained schedule may take to arrive before the given one is published."""


class RendezvousServer:
    """Shell of the role `rendezvous-<task>`. `journal` is a folder; `boot` is for simulations alone."""

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
        self._topics = topics
        self._clock = clock
        self._node = node
        self._boot = boot or boot_id()
        self._folder = journal
        self._held = HeldDeliveries(self._settings.held_deliveries)
        # Until there is a schedule.
        self._before_schedule: list[tuple[Handler, Delivery]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._letters = DeadLetters(bus, topics.deadletter, results.COMPONENT, clock)
        self._announcer = Announcer(bus, topics.device, results.COMPONENT, clock, self.counts)
        self._given = schedule
        self._keeper = ScheduleKeeper(bus, topics, schedule, self._announcer, clock, results.COMPONENT)
        self._presence = RolePresence(
            bus,
            topics.device,
            role or f"{results.COMPONENT}-{topics.task}",
            session=session,
            clock=clock,
            counts=self._counts_now,
        )
        # Made by run(), which owns the files and the event loop.
        self._core: Rendezvous | None = None
        self._journal: AnswerJournal | None = None
        self._publisher: ResultPublisher | None = None
        self._fatal: asyncio.Future[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises `Misuse` without any schedule, and whatever is a defect."""
        loop = asyncio.get_running_loop()
        self._fatal = loop.create_future()
        self._open_journal()
        if self._given is not None:
            self._begin(self._given)
        self._subscribe()
        self._presence.starting()
        starting = asyncio.ensure_future(self._bus.start())
        tasks = [starting, *map(asyncio.ensure_future, (self._publish_schedule(starting), self._report()))]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await self._until(stopping, tasks)
            self._presence.stopped()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            ended: list[asyncio.Future[Any]] = [*tasks, stopping, self._fatal]
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()
            if self._publisher is not None:
                self._publisher.close()
            await self._bus.stop()  # calls no handler any more, so no timer is set anew
            if self._journal is not None:
                self._journal.close()

    def _subscribe(self) -> None:
        self._bus.on_connection(self._connection)
        for topic_filter, handler in (
            (self._topics.schedule, self._schedule_arrived),
            (self._topics.all_model_states, self._state_arrived),
            (self._topics.input, self._input_arrived),
            (self._topics.all_scores, self._word_arrived),
        ):
            self._bus.subscribe(topic_filter, partial(self._guarded, handler))

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
                self._presence.ready()

    def _open_journal(self) -> None:
        settings = self._settings
        self._journal = AnswerJournal(
            self._folder, remember=settings.remember_answered, segment_bytes=settings.journal_bytes
        )
        self._publisher = ResultPublisher(
            self._bus, self._journal, self._held, self.counts, remember=settings.remember_answered
        )

    def _begin(self, schedule: Schedule) -> None:
        """Now there is a schedule: decide, first on what came before it."""
        answered = self._journal.ids() if self._journal is not None else ()
        self._core = Rendezvous(schedule, self._settings.policy(), answered=answered)
        waiting, self._before_schedule = self._before_schedule, []
        for handler, delivery in waiting:
            handler(delivery)

    async def _publish_schedule(self, starting: "asyncio.Future[None]") -> None:
        """Give the retained topic a moment to speak first; without any schedule, wait for it so long and no longer.

        Counted from the connection: a broker that is not there yet has said nothing.
        """
        await asyncio.wait({starting})
        if self._core is not None:
            await asyncio.sleep(_SETTLE_S)
            self._keeper.publish_given()
            return
        await asyncio.sleep(self._settings.schedule_wait_ms / 1000)
        if self._core is None:
            raise Misuse(
                f"There is no schedule for {self._topics.task}: none was given, and {self._topics.schedule} has none.",
                "Name a schedule file in the settings, or publish one (retained).",
            )

    async def _report(self) -> None:
        """Counts in the retained state, when they have changed."""
        said: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._settings.state_every_ms / 1000)
            counts = self._counts_now()
            if counts != said:
                said = counts
                self._presence.publish()

    def _counts_now(self) -> dict[str, int]:
        open_now = self._core.open_count if self._core is not None else 0
        return {**self.counts, "open": open_now, "held": len(self._held)}

    # arrivals

    def _input_arrived(self, delivery: Delivery) -> None:
        core = self._core
        if core is None:
            self._wait_for_schedule(self._input_arrived, delivery)
            return
        try:
            asked = reading.read_request(delivery, self._topics)
        except PeerError as error:
            self._refuse(delivery, error)
            return
        self.counts["requests"] += 1
        now = self._clock.monotonic_ns()
        event = reading.to_event(asked, self._boot, now, self._override(asked))
        self._held.hold(event.request_id, delivery)
        self._tell(core, event, now)
        if not core.knows(event.request_id):  # answered once, and the answer is lost: better another than none
            self._tell(core, event, now)

    def _word_arrived(self, delivery: Delivery) -> None:
        core = self._core
        if core is None:
            self._wait_for_schedule(self._word_arrived, delivery)
            return
        try:
            word = reading.read_word(delivery)
        except PeerError as error:
            self._refuse(delivery, error)
            return
        actions = self._tell(core, word, self._clock.monotonic_ns())
        refused = any(isinstance(action, Noted) and action.event_id == word.message_id for action in actions)
        if not refused and (core.is_open(word.request_id) or word.request_id in self._held):
            self._held.hold(word.request_id, delivery)
        else:
            delivery.ack()

    def _state_arrived(self, delivery: Delivery) -> None:
        core = self._core
        if core is None:
            self._wait_for_schedule(self._state_arrived, delivery)
            return
        try:
            event = reading.read_state(delivery)
        except PeerError as error:
            self._refuse(delivery, error)
            return
        self._tell(core, event, self._clock.monotonic_ns())
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
            if self._core is None:
                self._begin(schedule)
            else:
                event = ScheduleReplaced(message_id=message_id, schedule=schedule)
                self._tell(self._core, event, self._clock.monotonic_ns())
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

    # what the core wants done

    def _tell(self, core: Rendezvous, event: Event, now: int) -> tuple[Action, ...]:
        actions = core.handle(event, now)
        self._act(actions)
        self._arm(core)
        return actions

    def _wake(self) -> None:
        self._timer = None
        core = self._core
        if core is None:
            return
        try:
            self._act(core.expire(self._clock.monotonic_ns()))
            self._arm(core)
        except Exception as error:  # noqa: BLE001 - a defect: run() raises it, the process ends loudly
            self._defect(error)

    def _arm(self, core: Rendezvous) -> None:
        """One timer, never later than the core's deadline; an earlier one that is left over finds nothing to do."""
        deadline = core.deadline()
        if deadline is None or (self._timer is not None and self._timer_ns <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = deadline
        delay = max(0, deadline - self._clock.monotonic_ns()) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                self._answer(action)
            elif isinstance(action, Noted):
                self.counts[action.kind] += 1
                if action.kind is Kind.REPEATED_REQUEST:
                    self._repeat(action.request_id)
            else:
                self._closed(action)

    def _answer(self, answer: Answer) -> None:
        asked = answer.context
        if not isinstance(asked, Asked) or self._publisher is None:
            raise TypeError("an answer without its question")
        stored = Stored(
            topic=asked.request.return_address,
            payload=results.build(answer, asked, self._clock, self._node),
            response_topic=asked.response_topic,
            correlation=asked.correlation,
        )
        self._publisher.send(answer.request_id, stored)
        self.counts[answer.cause] += 1

    def _repeat(self, request_id: str) -> None:
        if self._publisher is not None and self._core is not None and not self._publisher.again(request_id):
            self._core.forget(request_id)

    def _closed(self, closed: Closed) -> None:
        """Late scores of a mailbox: what would have been there with more patience."""
        if any(outcome.status == "answered" and not outcome.ignored for outcome in closed.late):
            self.counts["late-after-" + closed.cause] += 1

    # trouble

    def _connection(self, up: bool) -> None:
        if not up:
            self._held.forget()
            self._before_schedule.clear()

    def _guarded(self, handler: Handler, delivery: Delivery) -> None:
        try:
            handler(delivery)
        except Exception as error:
            self._defect(error)
            raise

    def _defect(self, error: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(error)
