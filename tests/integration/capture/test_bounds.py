"""The role capture over a bus: what is open, asked and kept has its bounds."""

import os

import msgspec
from capture_world import FILM, SQUARE, Device, Run
from PIL import Image

from roost_edge.sources import CameraSettings


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


def test_a_picture_bomb_in_a_folder_is_passed_over_and_a_name_that_is_no_utf8_is_asked_about(
    device: Device, run: Run
) -> None:
    pictures = device.folder / "pictures"
    pictures.mkdir()
    Image.new("1", (20_000, 20_000)).save(pictures / "1.png")  # 50 kB here, 1.2 GB as RGB
    Image.new("RGB", (64, 48), (9, 90, 9)).save(os.fsencode(pictures / "2") + b"\xff.png")
    source = CameraSettings(source="folder", path=str(pictures), realtime=False)

    async def main() -> None:
        async with device.others() as others, device.capture(source):
            await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
            (request,) = others.requests
            assert request.tags["name"] == "2?.png"

    run(main())
