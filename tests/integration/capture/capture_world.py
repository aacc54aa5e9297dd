"""The role capture on a device that outlives its process, and all other roles in one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.messages import Answer, DeadLetter, Motion, Receipt, Request, Result, RoleState, decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.request_summary import RequestSummary, summarise
from roost_edge.capture.role import Capture
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionDetector
from roost_edge.motion.settings import MotionSettings
from roost_edge.sources import CameraSettings, FrameSource, open_source

NODE = NodeTopics("coop")
TASK = NODE.task("nest")
CAMERA = NODE.camera("cam")
SQUARE = "roost_edge.sources.test_scene:MovingSquare"
# Two events of 3 s film, a request every 500 ms of film.
FILM = CameraSettings(scene=SQUARE, frames=110, realtime=False, width=320, height=240)
QUICK: dict[str, Any] = {
    "interval_ms": 500,
    "state_every_ms": 10,
    "republish_after_ms": 60_000,
    "republish_max_ms": 60_000,
}
AGAIN: dict[str, Any] = {"republish_after_ms": 100, "republish_max_ms": 200}

Run = Callable[..., Any]


class Others:
    """All other roles in one: archives and answers each request once, repeats itself when asked again, as they do."""

    def __init__(self, bus: Bus, *, silent: bool = False) -> None:
        self.bus = bus
        self.silent = silent
        self.requests: list[Request] = []
        self.payloads: list[bytes] = []
        self.motions: list[str] = []
        self.states: list[RoleState] = []
        self.dead_letters: list[DeadLetter] = []
        self.answers: dict[str, tuple[bytes, bytes]] = {}
        self._news = asyncio.Event()
        bus.subscribe(TASK.raw, self._on_raw)
        bus.subscribe(NODE.role("capture"), self._on_state)
        bus.subscribe(CAMERA.motion, self._on_motion)
        bus.subscribe(TASK.deadletter, self._on_dead_letter)

    @property
    def state(self) -> RoleState:
        return self.states[-1]

    def count(self, name: str) -> int:
        return self.state.counts.get(name, 0) if self.states else 0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that arrived makes it true."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    def answer(self, request: Request) -> None:
        if request.request_id not in self.answers:
            self.answers[request.request_id] = self.make_answer(request)
        receipt, result = self.answers[request.request_id]
        self.bus.publish(TASK.receipts, receipt)
        self.bus.publish(request.return_address, result)

    def answer_all(self) -> None:
        self.silent = False
        for request in {request.request_id: request for request in self.requests}.values():
            self.answer(request)

    def make_answer(self, request: Request) -> tuple[bytes, bytes]:
        number = f"{len(self.answers):031x}"
        receipt = Receipt(timestamp=1, message_id="a" + number, request_id=request.request_id, saw="0" * 64)
        result = Result(
            timestamp=1,
            message_id="b" + number,
            request_id=request.request_id,
            cause="preferred",
            answer=Answer(model="champion", version="1", label="egg", score=1.0),
            elapsed_ms=1,
            sla_ms=2000,
        )
        return encode(receipt), encode(result)

    def _on_raw(self, delivery: Delivery) -> None:
        request = decode(delivery.payload)
        assert isinstance(request, Request)
        self.requests.append(request)
        self.payloads.append(delivery.payload)
        if not self.silent:
            self.answer(request)
        self._heard(delivery)

    def _on_state(self, delivery: Delivery) -> None:
        state = decode(delivery.payload)
        assert isinstance(state, RoleState)
        self.states.append(state)
        self._heard(delivery)

    def _on_motion(self, delivery: Delivery) -> None:
        motion = decode(delivery.payload)
        assert isinstance(motion, Motion)
        self.motions.append(motion.state)
        self._heard(delivery)

    def _on_dead_letter(self, delivery: Delivery) -> None:
        letter = decode(delivery.payload)
        assert isinstance(letter, DeadLetter)
        self.dead_letters.append(letter)
        self._heard(delivery)

    def _heard(self, delivery: Delivery) -> None:
        delivery.ack()
        self._news.set()


@dataclass
class Device:
    """What stays on the card from process to process."""

    folder: Path
    make_bus: Callable[[str], Bus]
    sessions: Iterator[int] = field(default_factory=lambda: iter(range(1, 100)))

    @property
    def log_path(self) -> Path:
        return self.folder / "cam.db"

    @property
    def frames(self) -> FrameStore:
        return FrameStore(self.folder / "frames")

    def summary(self) -> RequestSummary:
        return summarise(self.log_path)

    @asynccontextmanager
    async def others(self, *, silent: bool = False) -> AsyncIterator[Others]:
        others = Others(self.make_bus("others"), silent=silent)
        await others.bus.start()
        try:
            yield others
        finally:
            await others.bus.stop()

    @asynccontextmanager
    async def capture(
        self,
        source: CameraSettings | FrameSource = FILM,
        *,
        crash: bool = False,
        forwarded: bool = False,
        motion: MotionSettings | None = None,
        **settings: Any,
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """One life of the process; with `crash` it ends as by kill -9 as far as one process can show it."""
        if isinstance(source, CameraSettings):
            source = open_source(source)
        stop = asyncio.Event()
        with RequestLog(self.log_path) as log:
            capture = Capture(
                *(self.make_bus("capture"), TASK, CAMERA, source, MotionDetector(motion), log, self.frames),
                clock=SystemClock(),
                node=NODE.node,
                session=next(self.sessions),
                settings=CaptureSettings(**(QUICK | settings)),
                forwarded=forwarded,
                beside=(self.folder / "motion" / "cam.db", self.folder / "rolls"),
            )
            running = asyncio.create_task(capture.run(stop))
            try:
                yield running
            finally:
                if crash:
                    running.cancel()
                stop.set()
                await asyncio.gather(running, return_exceptions=True)
