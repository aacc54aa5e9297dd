"""The role capture over a bus: what it cannot work without ends it loudly."""

import threading

import pytest
from capture_world import FILM, Device, Run

from roost_edge.sources import CameraFailed, CameraSettings, open_source


class HangingSource:
    """A camera as they do on a Pi: delivers, then hangs and cannot be woken."""

    stills = False
    live = True

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
