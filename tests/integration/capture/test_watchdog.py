"""What capture tells systemd's watchdog: that it works, unless a camera hangs and even giving up on it has failed."""

import asyncio
import threading

from capture_world import CAMERA, NODE, TASK, Device, Run
from test_failures import HangingSource

from roost_broker.clock import SECOND, VirtualClock
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.role import Capture
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionDetector


class Told(HangingSource):
    """Says when it hangs."""

    def __init__(self, hangs: asyncio.Event) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._hangs = hangs

    def read(self):
        if self._left == 0:
            self._loop.call_soon_threadsafe(self._hangs.set)
            threading.Event().wait()
        return super().read()


def test_a_role_that_should_have_ended_of_its_camera_and_did_not_is_stuck(device: Device, run: Run) -> None:
    async def main() -> None:
        clock, hangs, stop = VirtualClock(), asyncio.Event(), asyncio.Event()
        with RequestLog(device.log_path) as log:
            capture = Capture(
                *(device.make_bus("capture"), TASK, CAMERA, Told(hangs), MotionDetector(), log, device.frames),
                clock=clock,
                node=NODE.node,
                session=1,
                settings=CaptureSettings(stall_s=3_600),
            )
            assert capture.stuck() == ""
            running = asyncio.create_task(capture.run(stop))
            await hangs.wait()
            clock.advance(3_600 * SECOND)
            assert capture.stuck() == ""  # it is just now giving up
            clock.advance(6 * SECOND)
            assert capture.stuck() == "hanging camera hangs, and this process did not end of it."
            stop.set()
            await running

    run(main())
