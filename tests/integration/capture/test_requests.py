"""The role capture over a bus: what it asks, about which frame."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from capture_world import FILM, NODE, TASK, Device, Run

from roost_broker.memory import MemoryBroker
from roost_broker.messages import RoleState, decode
from roost_edge.motion.detector import MotionDetector
from roost_edge.sources import CameraSettings
from roost_edge.sources.test_scene import MovingSquare


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
