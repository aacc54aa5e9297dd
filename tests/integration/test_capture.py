"""The role capture over a bus: accepted means asked until archived and answered, whatever dies on the way."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    Answer,
    DeadLetter,
    Motion,
    Receipt,
    Request,
    Result,
    RoleState,
    decode,
    encode,
    with_fields,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.request_summary import RequestSummary, summarise
from roost_edge.capture.role import Capture
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionDetector
from roost_edge.sources import CameraFailed, CameraSettings, FrameSource, open_source
from roost_edge.sources.test_scene import MovingSquare

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
            self.answers[request.request_id] = self._make(request)
        receipt, result = self.answers[request.request_id]
        self.bus.publish(TASK.receipts, receipt)
        self.bus.publish(request.return_address, result)

    def answer_all(self) -> None:
        self.silent = False
        for request in {request.request_id: request for request in self.requests}.values():
            self.answer(request)

    def _make(self, request: Request) -> tuple[bytes, bytes]:
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
        self, source: CameraSettings | FrameSource = FILM, *, crash: bool = False, **settings: Any
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """One life of the process; with `crash` it ends as by kill -9 as far as one process can show it."""
        if isinstance(source, CameraSettings):
            source = open_source(source)
        stop = asyncio.Event()
        with RequestLog(self.log_path) as log:
            capture = Capture(
                *(self.make_bus("capture"), TASK, CAMERA, source, MotionDetector(), log, self.frames),
                clock=SystemClock(),
                node=NODE.node,
                session=next(self.sessions),
                settings=CaptureSettings(**(QUICK | settings)),
            )
            running = asyncio.create_task(capture.run(stop))
            try:
                yield running
            finally:
                if crash:
                    running.cancel()
                stop.set()
                await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def memory() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def device(tmp_path: Path, memory: MemoryBroker) -> Device:
    return Device(tmp_path, lambda client_id: MemoryBus(memory, client_id))


def test_a_film_is_watched_and_every_accepted_request_is_published_answered_and_closed(
    device: Device, memory: MemoryBroker, run: Run
) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture():
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            summary = device.summary()
            assert summary.requests == others.count("accepted") == len(others.requests) >= 8
            assert summary.answered == summary.receipts == summary.within_sla == summary.requests
            assert (summary.open, summary.republished, summary.second_answers) == (0, 0, 0)
            assert "end of the source" in others.state.detail
            assert others.motions == ["off", "on", "off", "on", "off"]
            events = Counter(request.tags["event"] for request in others.requests)
            assert len(events) == 2
            for number, request in enumerate(others.requests, 1):
                assert request.issued is not None
                assert (request.issued.seq, request.issued.attempt) == (number, 1)
                assert request.return_address == TASK.results("cam")
                assert request.tags["camera"] == "cam"
                assert request.input.frame is not None
                assert len(device.frames.read(request.input.frame)) == request.input.frame.bytes

    run(main())
    last = decode(memory.retained(NODE.role("capture")) or b"")
    assert isinstance(last, RoleState)
    assert last.state == "stopped"


def test_the_frame_that_triggered_is_the_frame_that_is_asked_about(device: Device, run: Run) -> None:
    scene, detector = MovingSquare(FILM.seed, FILM.width, FILM.height, FILM.fps), MotionDetector()
    first = next(index for index in range(100) if detector.update(scene.frame(index)[0], index * 100_000_000).moving)

    async def main() -> None:
        async with device.others() as others, device.capture():
            await others.until(lambda: len(others.requests) >= 1)
            reference = others.requests[0].input.frame
            assert reference is not None
            data = np.frombuffer(device.frames.read(reference), np.uint8)
            seen = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(int)
            away = {index: np.abs(seen - scene.frame(index)[0]).mean() for index in range(first - 3, first + 4)}
            assert min(away, key=lambda index: away[index]) == first

    run(main())


def test_a_broker_that_forgot_everything_is_asked_again_until_receipt_and_result_are_there(
    device: Device, memory: MemoryBroker, run: Run
) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(**AGAIN):
            await others.until(lambda: others.count("finished") == 1)
            first = {request.request_id: request for request in others.requests}
            memory.restart(forget=True)
            others.requests.clear()
            await others.until(lambda: {request.request_id for request in others.requests} == set(first))
            for request in others.requests:
                before = first[request.request_id]
                assert request.message_id == before.message_id
                assert request.issued is not None
                assert before.issued is not None
                assert request.issued.attempt > before.issued.attempt
                assert request.issued.monotonic_ns > before.issued.monotonic_ns
                assert request.issued.seq == before.issued.seq
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            summary = device.summary()
            assert summary.requests == summary.answered == summary.receipts == summary.republished == len(first)
            assert summary.second_answers == 0

    run(main())


def test_a_request_answered_but_not_archived_is_asked_again_and_stays_answered_once(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1, **AGAIN):
            await others.until(lambda: len(others.requests) == 1)
            request = others.requests[0]
            receipt, result = others._make(request)
            others.answers[request.request_id] = receipt, result
            others.bus.publish(request.return_address, result)
            await others.until(lambda: others.count("answered") == 1 and len(others.requests) >= 3)
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            assert others.count("duplicate-results") >= 1
            assert others.count("answered") == device.summary().answered == 1

    run(main())


def test_a_second_answer_is_counted_and_not_stored_over_the_first(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture(max_requests=1):
            await others.until(lambda: others.count("answered") == 1)
            _, result = others.answers[others.requests[0].request_id]
            others.bus.publish(TASK.results("cam"), with_fields(result, messageId="f" * 32, cause="fallback"))
            await others.until(lambda: others.count("second-answers") == 1)
            assert device.summary().second_answers == 1
            assert device.summary().by_cause == {"preferred": 1}

    run(main())


def test_rubbish_on_the_return_address_goes_to_the_dead_letters_and_harms_nothing(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1):
            await others.until(lambda: len(others.requests) == 1)
            receipt, result = others._make(others.requests[0])
            for rubbish in (b"?", b"\xff\x00", b"{}", receipt):
                others.bus.publish(TASK.results("cam"), rubbish)
            others.bus.publish(TASK.receipts, result)
            await others.until(lambda: len(others.dead_letters) == 5)
            others.bus.publish(TASK.results("cam"), with_fields(result, requestId="e" * 32))
            others.bus.publish(TASK.receipts, with_fields(receipt, requestId="e" * 32))
            await others.until(
                lambda: others.count("stranger-results") == 1 and others.count("receipts-of-others") == 1
            )
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            assert others.count("unreadable") == 5
            assert device.summary().answered == 1

    run(main())


def test_with_too_much_open_frames_are_skipped_and_accepted_again_when_there_is_room(device: Device, run: Run) -> None:
    endless = msgspec.structs.replace(FILM, frames=0)

    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(endless, max_open=3):
            await others.until(lambda: others.count("skipped-backpressure") > 5)
            assert device.summary().requests == device.summary().open == 3
            others.answer_all()
            await others.until(lambda: others.count("accepted") > 6)

    run(main())


def test_the_number_of_requests_ends_capturing_but_not_the_role(device: Device, run: Run) -> None:
    endless = msgspec.structs.replace(FILM, frames=0)

    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(endless, max_requests=3) as running:
            await others.until(lambda: others.count("finished") == 1)
            assert "3 requests" in others.state.detail
            others.answer_all()
            await others.until(lambda: others.count("open") == 0)
            assert device.summary().requests == 3
            assert not running.done()

    run(main())


def test_the_time_ends_capturing(device: Device, run: Run) -> None:
    endless = msgspec.structs.replace(FILM, frames=0)

    async def main() -> None:
        async with device.others() as others, device.capture(endless, max_seconds=0.3):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            assert "0.3 seconds" in others.state.detail
            assert device.summary().open == 0

    run(main())


def test_after_a_crash_the_next_process_goes_on_with_what_is_open(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others:
            async with device.capture(crash=True):
                await others.until(lambda: others.count("finished") == 1)
            left = {request.request_id for request in others.requests}
            assert {found.request_id for found in opened(device)} == left
            others.requests.clear()
            others.silent = False
            async with device.capture(msgspec.structs.replace(FILM, frames=1)):
                await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            assert {request.request_id for request in others.requests} == left
            assert all(request.issued is not None and request.issued.attempt > 1 for request in others.requests)
            assert device.summary().answered == device.summary().receipts == len(left)

    def opened(device: Device) -> list[Any]:
        with RequestLog(device.log_path) as log:
            return log.open_requests()

    run(main())


def test_unknown_fields_of_a_request_survive_being_published_again(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others(silent=True) as others, device.capture(max_requests=1, **AGAIN):
            await others.until(lambda: len(others.payloads) >= 2)
            first, again = (msgspec.json.decode(payload) for payload in others.payloads[:2])
            assert {key for key in first if first[key] != again[key]} == {"issued"}
            assert {key for key in again["issued"] if first["issued"].get(key) != again["issued"][key]} == {
                "attempt",
                "monotonicNs",
            }

    run(main())


def test_each_picture_of_a_folder_is_one_request_with_the_files_own_bytes(
    device: Device, tmp_path: Path, run: Run
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(5):
        cv2.imwrite(str(pictures / f"{index}.jpg"), np.full((48, 64, 3), 40 * index, np.uint8))
    source = CameraSettings(source="folder", path=str(pictures), realtime=False)

    async def main() -> None:
        async with device.others() as others, device.capture(source, interval_ms=20, max_open=2):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            assert [request.tags["name"] for request in others.requests] == [f"{index}.jpg" for index in range(5)]
            for index, request in enumerate(others.requests):
                assert request.input.frame is not None
                assert device.frames.read(request.input.frame) == (pictures / f"{index}.jpg").read_bytes()
            assert others.motions == []
            assert len({request.tags["event"] for request in others.requests}) == 5

    run(main())


class HangingSource:
    """A camera as they do on a Pi: delivers, then hangs and cannot be woken."""

    stills = False

    def __init__(self) -> None:
        self._source = open_source(FILM)
        self._left = 3

    def open(self) -> None:
        self._source.open()

    def read(self):
        self._left -= 1
        if self._left < 0:
            threading.Event().wait()
        return self._source.read()

    def close(self) -> None:
        self._source.close()

    def describe(self) -> str:
        return "hanging camera"


def test_a_camera_that_hangs_ends_the_role_loudly_with_the_reason(device: Device, run: Run) -> None:
    async def main() -> None:
        async with device.others() as others, device.capture(HangingSource(), stall_s=0.2) as running:
            with pytest.raises(CameraFailed, match=r"hanging camera has delivered nothing for 0\.2 s"):
                await running
            await others.until(lambda: others.state.state == "failed")
            assert "delivered nothing" in others.state.detail

    run(main())


def test_a_camera_that_does_not_open_ends_the_role_loudly(device: Device, run: Run) -> None:
    source = CameraSettings(source="opencv", url="/nowhere/stream.avi")

    async def main() -> None:
        async with device.others() as others, device.capture(source) as running:
            with pytest.raises(CameraFailed, match="does not open"):
                await running
            await others.until(lambda: others.state.state == "failed")

    run(main())


def test_a_store_that_cannot_be_written_ends_the_role_and_nothing_is_accepted(device: Device, run: Run) -> None:
    (device.folder / "frames").write_text("in the way")

    async def main() -> None:
        async with device.others() as others, device.capture() as running:
            with pytest.raises(OSError, match="frames"):
                await running
            await others.until(lambda: others.state.state == "failed")
            assert device.summary().requests == 0
            assert others.requests == []

    run(main())


def test_frames_over_the_budget_are_deleted_but_not_those_still_open(device: Device, run: Run) -> None:
    noisy = CameraSettings(
        scene=SQUARE, frames=0, realtime=False, width=640, height=480, seed=2
    )  # about 100 kB a frame

    async def main() -> None:
        settings = {"frames_budget_mb": 1, "interval_ms": 0, "max_per_event": 1000, "jpeg_quality": 100}
        async with device.others() as others, device.capture(noisy, max_requests=25, **settings):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            sizes = [request.input.frame.bytes for request in others.requests if request.input.frame]
            assert sum(sizes) > 2_000_000
        kept = {path.stem: path.stat().st_size for path in device.frames}
        assert sum(kept.values()) <= 1_000_000 + 2 * max(sizes)
        assert others.requests[-1].input.frame is not None
        assert others.requests[-1].input.frame.sha256 in kept

    run(main())


@pytest.mark.broker
def test_mosquitto_killed_in_the_middle_no_accepted_request_stays_open(
    own_mosquitto: PrivateBroker, tmp_path: Path, run: Run
) -> None:
    settings = own_mosquitto.settings()
    device = Device(tmp_path / "device", lambda client_id: MqttBus(settings, client_id))
    endless = msgspec.structs.replace(FILM, frames=0, realtime=True, fps=50)

    async def main() -> None:
        quick = {"interval_ms": 60, "republish_after_ms": 500, "republish_max_ms": 1000}
        async with device.others() as others, device.capture(endless, max_requests=30, **quick):
            await others.until(lambda: len(others.requests) >= 5)
            others.silent = True  # some are open when the broker dies
            await others.until(lambda: len(others.requests) >= 10)
            await asyncio.to_thread(own_mosquitto.kill)
            others.silent = False
            await asyncio.to_thread(own_mosquitto.start)
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            summary = device.summary()
            assert summary.requests == summary.answered == summary.receipts == 30
            assert summary.republished >= 1
            assert summary.second_answers == 0

    run(main(), timeout=60)
