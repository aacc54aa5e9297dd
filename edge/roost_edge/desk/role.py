"""The desk: questions on `request/<verb>`, answers on `response/<verb>` with the question's transaction.

1. `info` is answered at once; `picture` only where the camera is not there, for nobody else would. `doctor` is a child
   process; one at a time, and whoever asks the same meanwhile shares its report. Who asks something else, or is one
   too many, is told that the desk is busy.
2. What cannot be read gets an answer that says so, and a dead letter, at a bounded rate.
3. Asking changes nothing, and is forgotten when the desk ends: whoever asks waits for so long as he likes.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from roost_broker.bus import Bus
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import Clock
from roost_broker.errors import RoostError
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_edge.desk.questions import Question
from roost_edge.desk.replying import Replies
from roost_edge.desk.settings import DeskSettings

_log = logging.getLogger(__name__)
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
        cameras: Sequence[str] = (),
        beside: Beside | None = None,
    ) -> None:
        self._beside = beside
        self._cameras = cameras
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._device = device
        self._examine = examine
        self._about = about
        self._settings = settings or DeskSettings()
        self._changed = asyncio.Event()
        self._replies = Replies(bus, device, role, clock, self.counts, noted=self._changed.set)
        self._patients: list[Question] = []
        self._examining: asyncio.Task[None] | None = None
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=lambda: self.counts)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        self._replies.listen("info", self._inform)
        self._replies.listen("doctor", self._doctor)
        self._replies.listen("picture", self._picture)
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
                    await within(asyncio.shield(done), _LAST_WORD_S)
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            tasks = [task for task in (telling, beside, self._examining) if task is not None]
            await cancel_and_wait(*tasks)
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

    def _inform(self, asked: Question) -> None:
        self._replies.answer(asked, self._about())

    def _picture(self, asked: Question) -> None:
        """Each camera's own process answers for it; for one that is not there nobody else can."""
        camera = asked.data.get("camera")
        if (camera is None and self._cameras) or camera in self._cameras:
            return
        self.counts["no-such-camera"] += 1
        there = f"There are: {', '.join(sorted(self._cameras))}." if self._cameras else "It has none."
        name = f"no camera {str(camera)[:100]!r}" if camera is not None else "no camera"
        self._replies.refuse(asked, RoostError(f"{self._device.node} has {name}.", there))

    def _doctor(self, asked: Question) -> None:
        if self._patients and (
            asked.only != self._patients[0].only or len(self._patients) >= self._settings.max_waiting
        ):
            self.counts["busy"] += 1
            self._replies.refuse(asked, RoostError("The desk is busy with another examination.", _BUSY))
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
                self._replies.refuse(asked, problem)
        else:
            for asked in self._done():
                self._replies.answer(asked, report)
        self._changed.set()

    def _done(self) -> list[Question]:
        waiting, self._patients = self._patients, []
        return waiting
