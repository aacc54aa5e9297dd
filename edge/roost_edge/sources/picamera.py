"""The Pi's own camera through Picamera2, which comes with Pi OS (python3-picamera2), not from a package index.

Two streams from one sensor frame: `main` is the picture, `lores` a small YUV plane for motion, for nothing. What is
asked for is in `picamera_setup`. Not run on a device yet: all that touches Picamera2 needs a Pi to be shown.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import Misuse
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.picamera_setup import configuration, lores_size, unsupported
from roost_edge.sources.settings import CameraSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

log = logging.getLogger(__name__)


class PicameraSource:
    """Frames at the sensor's pace; a read is bounded by `read_timeout_ms`."""

    stills = False
    live = True

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._camera: Any = None  # Picamera2 publishes no types
        self._lores = lores_size(settings)
        self._closed = threading.Event()
        self._busy = threading.Lock()  # libcamera is not for two threads
        self._index = 0

    def open(self) -> None:
        """See `FrameSource`."""
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise Misuse(
                f"Picamera2 is not available here ({error}).",
                "On Pi OS: sudo apt install python3-picamera2, and a venv made with --system-site-packages. "
                'Elsewhere choose source = "opencv", "video", "folder" or "synthetic".',
            ) from error
        chosen = self._settings
        self._closed.clear()
        asked = configuration(chosen, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        try:
            self._camera = Picamera2(chosen.device)
            for name in unsupported(asked["controls"], self._camera.camera_controls):
                log.warning("%s has no %s; that setting does nothing", self.describe(), name)
                del asked["controls"][name]
            if chosen.upside_down:
                asked["transform"] = _half_turn()
            self._camera.configure(self._camera.create_video_configuration(**asked))
            self._camera.start()
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            self._release()
            raise CameraFailed(
                f"{self.describe()} does not start: {error}.",
                "Check the ribbon cable, `rpicam-hello --list-cameras`, and that no other program holds the camera.",
            ) from error
        self._index = 0

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        with self._busy:
            frame = self._read() if not self._closed.is_set() and self._camera is not None else None
            if self._closed.is_set():
                self._release()
        return frame

    def _read(self) -> Frame:
        try:
            request = self._camera.capture_request(wait=self._settings.read_timeout_ms * MS / SECOND)
        except (TimeoutError, RuntimeError) as error:
            raise CameraFailed(
                f"{self.describe()} delivered no frame within {self._settings.read_timeout_ms} ms.",
                "The process restarts; if this repeats, check the cable and `dmesg`.",
            ) from error
        now = self._clock.monotonic_ns()
        try:
            image: Image = request.make_array("main")  # a copy: the buffer goes back to the camera below
            luma: Image = request.make_array("lores")[: self._lores[1], : self._lores[0]]
        finally:
            request.release()
        self._index += 1
        return Frame(
            image=image,
            at_monotonic_ns=now,
            wall_ns=self._clock.wall_ns(),
            index=self._index - 1,
            media_ns=now,
            luma=luma,
        )

    def close(self) -> None:
        """See `FrameSource`."""
        self._closed.set()
        if self._busy.acquire(blocking=False):  # else the reading thread lets the camera go
            try:
                self._release()
            finally:
                self._busy.release()

    def _release(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"Pi camera {self._settings.device}, {self._settings.width}×{self._settings.height}"


def _half_turn() -> Any:
    from libcamera import Transform  # comes with Pi OS, too

    return Transform(hflip=1, vflip=1)
