"""The desk: questions on `request/<verb>`, answers on `response/<verb>` with the question's transaction.

1. `info` is answered at once. `doctor` is a child process; one at a time, and whoever asks the same meanwhile shares
   its report. Who asks something else, or is one too many, is told that the desk is busy.
2. What cannot be read gets an answer that says so, and a dead letter, at a bounded rate.
3. Asking changes nothing, and is forgotten when the desk ends: whoever asks waits for so long as he likes.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters, RateLimit
from roost_broker.errors import Malformed, QueueFull, RoostError
from roost_broker.headers import new_header
from roost_broker.messages import Reply, encode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_edge.desk.questions import Question, question, usable
from roost_edge.desk.settings import DeskSettings

_log = logging.getLogger(__name__)
VERBS = ("doctor", "info")
_TELL_S = 2.0
_LAST_WORD_S = 1.0
_BUSY = "Ask again when the present examination is done: that takes seconds, or a minute on a small board."


class Beside(Protocol):
    """Other work of the same process, on the same session."""

    def begin(self) -> None:
        """Subscribe; the bus is not started yet."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class Desk:
    """See the module. `bus` is not started yet; `examine` gives a report or raises `RoostError`.

    `beside` works while the desk does.
    """

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        *,
        examine: Callable[[Sequence[str]], Awaitable[dict[str, Any]]],
        about: Callable[[], dict[str, Any]],
        clock: Clock,
        session: int,
        settings: DeskSettings | None = None,
        role: str = "desk",
        beside: Beside | None = None,
    ) -> None:
        self._beside = beside
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._device = device
        self._examine = examine
        self._about = about
        self._clock = clock
        self._settings = settings or DeskSettings()
        self._role = role
        self._letters = DeadLetters(bus, device.deadletter, role, clock, node=device.node)
        self._rate = RateLimit(burst=50, per_s=10)
        self._patients: list[Question] = []
        self._examining: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=lambda: self.counts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        for verb in VERBS:
            self._bus.subscribe(self._device.request(verb), partial(self._asked, verb))
        if self._beside is not None:
            self._beside.begin()
        self._presence.starting()
        telling: asyncio.Task[None] | None = None
        beside: asyncio.Task[None] | None = None
        try:
            if not await started_before(self._bus, stop):
                return
            self._presence.ready()
            telling = asyncio.create_task(self._tell())
            beside = asyncio.create_task(self._work_beside(stop))
            await stop.wait()
            if beside.done():
                beside.result()  # its defect ends the role: an edge dies loudly
            done = self._presence.stopped()
            if done is not None and self._bus.connected:
                with contextlib.suppress(TimeoutError, RoostError):
                    await asyncio.wait_for(asyncio.shield(done), _LAST_WORD_S)
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            tasks = [task for task in (telling, beside, self._examining) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._bus.stop(forget=True)

    async def _work_beside(self, stop: asyncio.Event) -> None:
        try:
            if self._beside is not None:
                await self._beside.run()
        except Exception:
            stop.set()
            raise

    async def _tell(self) -> None:
        """Renew the retained state after questions, at a bounded rate."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._presence.publish()
            await asyncio.sleep(_TELL_S)

    # -- questions ---------------------------------------------------------------------------------------------------

    def _asked(self, verb: str, delivery: Delivery) -> None:
        self._changed.set()
        if delivery.retained:
            self.counts["retained"] += 1
            delivery.ack()
            return
        if not self._rate.take(self._clock.monotonic_ns()):
            self.counts["too-many"] += 1
            delivery.ack()
            return
        try:
            asked = question(delivery, verb, self._device)
        except Malformed as error:
            self.counts["malformed"] += 1
            back = usable(delivery.response_topic, self._device)
            self._refuse(Question(verb, back=back, correlation=delivery.correlation_data), error)
            self._letters.send(delivery, str(error))
            return
        delivery.ack()
        self.counts[verb] += 1
        if verb == "info":
            self._answer(asked, self._about())
        else:
            self._doctor(asked)

    def _doctor(self, asked: Question) -> None:
        if self._patients and (
            asked.only != self._patients[0].only or len(self._patients) >= self._settings.max_waiting
        ):
            self.counts["busy"] += 1
            self._refuse(asked, RoostError("The desk is busy with another examination.", _BUSY))
            return
        self._patients.append(asked)
        if len(self._patients) == 1:
            self._examining = asyncio.create_task(self._examined(asked.only))

    async def _examined(self, only: Sequence[str]) -> None:
        try:
            report = await self._examine(only)
        except (RoostError, OSError) as error:
            problem = error if isinstance(error, RoostError) else RoostError(f"The examination failed: {error}.", _BUSY)
            waiting = self._done()
            self.counts["failed"] += 1
            for asked in waiting:
                self._refuse(asked, problem)
        else:
            for asked in self._done():
                self._answer(asked, report)
        self._changed.set()

    def _done(self) -> list[Question]:
        waiting, self._patients = self._patients, []
        return waiting

    # -- answers -----------------------------------------------------------------------------------------------------

    def _answer(self, asked: Question, data: dict[str, Any]) -> None:
        head = new_header(self._clock, self._device.node, self._role)._asdict()
        self._publish(asked, Reply(**head, verb=asked.verb, transaction=asked.transaction, status="ok", data=data))

    def _refuse(self, asked: Question, error: RoostError) -> None:
        head = new_header(self._clock, self._device.node, self._role)._asdict()
        reply = Reply(
            **head,
            verb=asked.verb,
            transaction=asked.transaction,
            status="error",
            problem=error.problem[:1000],
            remedy=error.remedy[:1000],
        )
        self._publish(asked, reply)

    def _publish(self, asked: Question, reply: Reply) -> None:
        try:
            payload = encode(reply)
            self._bus.publish(self._device.response(asked.verb), payload)
            if asked.back:
                self._bus.publish(asked.back, payload, correlation_data=asked.correlation)
        except (QueueFull, Malformed) as error:
            self.counts["unanswered"] += 1
            _log.warning("a question could not be answered: %s", error)
