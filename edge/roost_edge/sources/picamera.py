"""The Pi's own camera through Picamera2, which comes with Pi OS (python3-picamera2), not from a package index.

Two streams from one sensor frame: `main` is the picture, `lores` a small YUV plane for motion, for nothing (the lores
stream must be YUV on the Pi 4 and older; its Y plane is padded to a stride). Not run on a device yet.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import Misuse
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.settings import CameraSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

_LORES_WIDTH = 320


class PicameraSource:
    """Frames at the sensor's pace; a read is bounded by `read_timeout_ms`."""

    stills = False

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._camera: Any = None  # Picamera2 publishes no types
        self._lores = _LORES_WIDTH, even(settings.height * _LORES_WIDTH / settings.width)
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
        frame_us = round(1_000_000 / chosen.fps)
        self._closed.clear()
        try:
            self._camera = Picamera2(chosen.device)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={
                        "size": (chosen.width, chosen.height),
                        "format": "BGR888",
                    },  # libcamera's name for R, G, B bytes
                    lores={"size": self._lores, "format": "YUV420"},
                    buffer_count=chosen.buffer_count,
                    controls={"FrameDurationLimits": (frame_us, frame_us)},
                )
            )
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


def even(size: float) -> int:
    """The nearest even number: YUV420 halves its colour planes."""
    return max(2, round(size / 2) * 2)
