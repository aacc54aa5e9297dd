"""The proxy's desk: a question in, a reply out; between them the bus, the table of who waits, and one timer."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from functools import partial

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import FrameUnavailable, Malformed, PeerError, QueueFull
from roost_broker.messages import FrameRef, Request, Result
from roost_broker.topics import TaskTopics
from roost_broker.worker import Worker
from roost_rendezvous.proxy import replies, requests
from roost_rendezvous.proxy.device_view import DeviceView
from roost_rendezvous.proxy.questions import Question
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import Reply
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.proxy.shelf import Shelf
from roost_rendezvous.proxy.waiting import (
    Action,
    Asked,
    Give,
    GiveUp,
    Left,
    Noted,
    Publish,
    Reconnected,
    ResultArrived,
    Waiting,
)
from roost_rendezvous.server.reading import parse_for

REQUESTER = "proxy-http"
"""Last level of the return address. Stable, so that a result that was on its way finds the next process."""
_AGAIN_S = (0.0, 0.5, 1.5, 3.5, 7.5)
"""After the broker came back open questions are published again: one that forgot the others' sessions delivers nothing
to them before they are back, too. Whoever has the question already knows it again."""


class Desk:
    """Everything happens on the event loop; pictures are stored by the worker's thread."""

    def __init__(
        self,
        bus: Bus,
        tasks: Mapping[str, TaskTopics],
        view: DeviceView,
        shelf: Shelf,
        worker: Worker,
        *,
        clock: Clock,
        node: str,
        qa: bool,
        settings: ProxySettings,
        counts: Counter[str],
    ) -> None:
        self._bus = bus
        self._tasks = tasks
        self._view = view
        self._shelf = shelf
        self._worker = worker
        self._clock = clock
        self._node = node
        self._qa = qa
        self._settings = settings
        self._counts = counts
        self._table = Waiting(max_waiting=settings.max_in_flight, remember=settings.remember)
        self._waiters: dict[int, asyncio.Future[Reply | None]] = {}
        self._asked: dict[str, tuple[TaskTopics, Request]] = {}
        self._numbers = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._again: list[asyncio.TimerHandle] = []
        self._room = asyncio.Event()
        self._letters = {
            name: DeadLetters(bus, topics.deadletter, requests.COMPONENT, clock) for name, topics in tasks.items()
        }
        bus.on_connection(self._connection)
        for name, topics in tasks.items():
            bus.subscribe(topics.results(REQUESTER), partial(self._result, name))

    @property
    def in_flight(self) -> int:
        """Callers that wait."""
        return len(self._table)

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._bus.connected

    @property
    def full(self) -> bool:
        """Whether one more caller would be refused."""
        return self._table.full

    async def _room_for_one(self) -> None:
        """Return when one more caller would not be refused; nothing else may be awaited before it is there."""
        while self._table.full:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Wake nobody any more."""
        self._cancel_again()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def ask(
        self,
        task: str,
        question: Question,
        *,
        key: str | None = None,
        parent: str | None = None,
        patient: bool = False,
    ) -> Reply:
        """Ask, and wait for the official result. Raises `Refused`. Cancelled, it leaves nothing behind.

        `patient`: where too many wait already, wait for room instead of being refused; the deadline counts from then.
        """
        topics = self._tasks[task]
        sla_ms = self._allowed(task, question)
        deadline_ms = question.deadline_ms or sla_ms
        if self._table.full and not patient:
            raise _too_many()
        id_ = requests.request_id(task, question, key, self._clock.wall_ns())
        frame = await self._store(question)
        try:
            if patient:
                await self._room_for_one()
            request = requests.write(
                question,
                frame,
                id_=id_,
                return_address=topics.results(REQUESTER),
                deadline_ms=deadline_ms,
                parent=parent,
                clock=self._clock,
                node=self._node,
            )
            return await self._wait(topics, request)
        finally:
            if frame is not None:
                self._worker.call(self._shelf.release, frame)

    def _allowed(self, task: str, question: Question) -> int:
        """The deadline to be had when none was asked for. Raises `Refused` for what only QA may ask."""
        sla_ms = self._view.sla_ms(task) or self._settings.deadline_ms
        said = question.diagnostics
        if said is None or said == messages.Diagnostics():
            return sla_ms
        if not self._qa:
            self._counts["diagnostics-refused"] += 1
            raise Refused(
                403, "Diagnostics are honoured only in QA.", "Leave them out, or set `qa = true` below [node] there."
            )
        if said.schedule is None:
            return sla_ms
        try:
            return parse_for(task, said.schedule).sla_ms
        except PeerError as error:
            raise Refused(422, error.problem, error.remedy) from error

    async def _store(self, question: Question) -> FrameRef | None:
        if question.picture is None:
            return None
        putting = self._worker.call(self._shelf.put, question.data, question.picture)
        try:
            return await asyncio.shield(putting)
        except QueueFull as error:
            raise Refused(429, error.problem, error.remedy) from error
        except (OSError, FrameUnavailable) as error:  # the card is full, or no good
            self._counts["not-stored"] += 1
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)  # without the path
            raise Refused(503, f"The picture cannot be stored: {why}.", "Make room on the device's disk.") from error
        except asyncio.CancelledError:  # the picture is stored all the same: it must not count as in use for ever
            putting.add_done_callback(self._release_orphan)
            raise

    def _release_orphan(self, putting: "asyncio.Future[FrameRef]") -> None:
        if not putting.cancelled() and putting.exception() is None:
            self._worker.call(self._shelf.release, putting.result())

    async def _wait(self, topics: TaskTopics, request: Request) -> Reply:
        waiter = next(self._numbers)
        future: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = future
        self._asked.setdefault(request.request_id, (topics, request))
        now = self._clock.monotonic_ns()
        deadline = now + (request.deadline_ms + self._settings.margin_ms) * MS
        self._counts["requests"] += 1
        try:
            self._act(self._table.handle(Asked(request.request_id, waiter, deadline), now))
            self._arm()
            reply = await future
        except asyncio.CancelledError:
            self._act(self._table.handle(Left(waiter), self._clock.monotonic_ns()))
            raise
        finally:
            del self._waiters[waiter]
            if not self._table.is_open(request.request_id):
                self._asked.pop(request.request_id, None)
            self._room.set()
        if reply is None:
            self._counts["no-result"] += 1
            return replies.of_silence(request.request_id, connected=self._bus.connected)
        return reply

    # -- the table's words become deeds -----------------------------------------------------------------------------

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Publish):
                self._publish(action)
            elif isinstance(action, Give):
                assert isinstance(action.result, Reply)  # noqa: S101 — _result puts nothing else in
                self._end(action.waiter, action.result)
            elif isinstance(action, GiveUp):
                self._end(action.waiter, None)
            elif isinstance(action, Noted):
                self._counts[action.kind] += 1
            elif not self._waiters[action.waiter].done():
                self._waiters[action.waiter].set_exception(_too_many())

    def _end(self, waiter: int, reply: Reply | None) -> None:
        future = self._waiters[waiter]
        if not future.done():
            future.set_result(reply)

    def _publish(self, action: Publish) -> None:
        topics, request = self._asked[action.request_id]
        self._counts["repeated" if action.attempt > 1 else "published"] += 1
        try:
            self._bus.publish(topics.raw, requests.encode(request, action.attempt))
        except QueueFull:  # nobody is told yet: the waiter's time runs, and the broker may be back before its end
            self._counts["queue-full"] += 1

    def _result(self, task: str, delivery: Delivery) -> None:
        try:
            result = messages.decode(delivery.payload)
            if not isinstance(result, Result):
                raise Malformed(f"A {type(result).__name__} has no business on a return address.")
        except Malformed as error:
            self._counts["dead-letters"] += 1
            self._letters[task].send(delivery, str(error))
            return
        now = self._clock.monotonic_ns()
        self._act(self._table.expire(now))
        reply = replies.of_result(result, bytes(delivery.payload))
        if self._table.is_open(result.request_id):
            self._counts[result.cause] += 1
        self._act(self._table.handle(ResultArrived(result.request_id, reply), now))
        delivery.ack()

    def _connection(self, up: bool) -> None:
        self._cancel_again()
        if up and len(self._table):
            loop = asyncio.get_running_loop()
            self._again = [loop.call_later(delay, self._ask_again) for delay in _AGAIN_S]

    def _ask_again(self) -> None:
        now = self._clock.monotonic_ns()
        self._act(self._table.expire(now))
        self._act(self._table.handle(Reconnected(), now))

    def _cancel_again(self) -> None:
        for handle in self._again:
            handle.cancel()
        self._again = []

    def _arm(self) -> None:
        """One timer, for the table's next deadline; an earlier one that is left over finds nothing to do."""
        deadline = self._table.deadline()
        if deadline is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0, deadline - self._clock.monotonic_ns()) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._act(self._table.expire(self._clock.monotonic_ns()))
        self._arm()


def _too_many() -> Refused:
    return Refused(429, "Too many callers wait for an answer already.", "Ask again in a second.")
