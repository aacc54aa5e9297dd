"""A USB camera or a network stream (RTSP and others) through OpenCV.

Opening and reading are bounded by the settings' timeouts. A stream that breaks raises `CameraFailed`; the process
then dies loudly and its supervisor starts it again, which is the reconnect.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from roost_broker.clock import SECOND, Clock
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.scale import fit, rgb_from_bgr
from roost_edge.sources.settings import CameraSettings, masked

if TYPE_CHECKING:
    import cv2


class OpenCvSource:
    """The newest picture, at most `fps` a second: what a faster stream sends in between is dropped undecoded."""

    stills = False
    live = True

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._period_ns = round(SECOND / settings.fps)
        self._capture: cv2.VideoCapture | None = None
        self._closed = threading.Event()
        self._busy = threading.Lock()  # OpenCV crashes when a capture is released under a thread inside grab()
        self._index = 0
        self._due_ns = 0

    def open(self) -> None:
        """See `FrameSource`."""
        import cv2

        chosen = self._settings
        self._closed.clear()
        if chosen.url:
            # One back end only: OpenCV's search through the others prints the whole address, password included.
            limits = [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, chosen.open_timeout_ms),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, chosen.read_timeout_ms),
            ]
            capture = cv2.VideoCapture(chosen.url, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(chosen.device, cv2.CAP_V4L2)  # OpenCV's V4L2 reads time out by themselves (10 s)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, chosen.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, chosen.height)
            capture.set(cv2.CAP_PROP_FPS, chosen.fps)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not capture.isOpened():
            remedy = (
                "Check the address, the credentials and that the camera is on the network."
                if chosen.url
                else "Check the cable, `v4l2-ctl --list-devices`, and that this user is in the group video."
            )
            raise CameraFailed(f"{self.describe()} does not open.", remedy)
        self._capture = capture
        self._index, self._due_ns = 0, self._clock.monotonic_ns()

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        with self._busy:
            frame = None if self._capture is None else self._read(self._capture)
            if self._closed.is_set():
                self._release()
        return frame

    def _read(self, capture: cv2.VideoCapture) -> Frame | None:
        while not self._closed.is_set():
            if not capture.grab():
                raise CameraFailed(
                    f"{self.describe()} delivers no more pictures (after {self._index}).",
                    "It is opened again when the process restarts; check power and network if this repeats.",
                )
            now = self._clock.monotonic_ns()
            if self._settings.realtime and now < self._due_ns:
                continue
            good, image = capture.retrieve()
            if not good:
                continue  # a damaged picture in a stream; the next one follows
            self._due_ns = max(self._due_ns + self._period_ns, now)
            self._index += 1
            return Frame(
                image=fit(rgb_from_bgr(image), self._settings.width, self._settings.height),
                at_monotonic_ns=now,
                wall_ns=self._clock.wall_ns(),
                index=self._index - 1,
                media_ns=now if self._settings.realtime else (self._index - 1) * self._period_ns,
            )
        return None

    def close(self) -> None:
        """See `FrameSource`."""
        self._closed.set()
        if self._busy.acquire(blocking=False):  # else the reading thread lets the camera go
            try:
                self._release()
            finally:
                self._busy.release()

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"stream {masked(self._settings.url)}" if self._settings.url else f"USB camera {self._settings.device}"
