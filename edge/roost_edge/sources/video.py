"""A video file through OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Misuse
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.pace import Pace
from roost_edge.sources.scale import fit, rgb_from_bgr
from roost_edge.sources.settings import CameraSettings

if TYPE_CHECKING:
    import cv2

_FALLBACK_FPS = 10.0
"""For containers that do not say how fast they were filmed."""


class VideoSource:
    """Every n-th picture of a file, so that at most `fps` a second of film are looked at."""

    stills = False
    live = False

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._path = Path(settings.path).expanduser()
        self._capture: cv2.VideoCapture | None = None
        self._pace = Pace(clock, settings.fps, realtime=settings.realtime)
        self._step = 1
        self._filmed_fps = _FALLBACK_FPS
        self._index = 0
        self._position = 0
        self._finished_rounds_ns = 0

    def open(self) -> None:
        """See `FrameSource`."""
        import cv2

        if not self._path.is_file():
            raise Misuse(f"There is no video file {self._path}.", "Correct camera path.")
        self._capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise Misuse(
                f"{self._path} is not a video that OpenCV can read.", "Convert it, for example to MP4 (H.264)."
            )
        said = self._capture.get(cv2.CAP_PROP_FPS)
        self._filmed_fps = said if 0.1 <= said <= 1000 else _FALLBACK_FPS
        self._step = max(1, round(self._filmed_fps / self._settings.fps))
        self._pace = Pace(self._clock, self._filmed_fps / self._step, realtime=self._settings.realtime)
        self._index = self._position = self._finished_rounds_ns = 0
        self._pace.start()

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        index = self._pace.wait(self._index)
        capture = self._capture
        if index is None or capture is None:
            return None
        skipped = (index - self._index) * self._step
        self._index = index + 1
        image = self._picture(capture, skipped)
        if image is None:
            return None
        shown = self._position
        for _ in range(self._step - 1):
            capture.grab()
        self._position += self._step
        return Frame(
            image=fit(rgb_from_bgr(image), self._settings.width, self._settings.height),
            at_monotonic_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            index=index,
            media_ns=self._finished_rounds_ns + round(shown * SECOND / self._filmed_fps),
            name=self._path.name,
        )

    def _picture(self, capture: cv2.VideoCapture, skipped: int) -> object | None:
        """The next picture after `skipped` more; None at the end of the film."""
        for _ in range(skipped):
            capture.grab()
        self._position += skipped
        good, image = capture.read()
        if good:
            return image
        if not self._settings.loop:
            return None
        if self._position == 0:
            raise CameraFailed(f"{self._path} holds no picture that decodes.", "Convert it again.")
        import cv2

        self._finished_rounds_ns += round(self._position * SECOND / self._filmed_fps)
        self._position = 0
        capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        good, image = capture.read()
        if not good:
            raise CameraFailed(f"{self._path} cannot be read from the beginning again.", "Set loop = false.")
        return image

    def close(self) -> None:
        """See `FrameSource`."""
        # The decoder itself is let go with the object: releasing it under a reading thread would crash OpenCV.
        self._pace.stop()

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"video {self._path} at {self._filmed_fps / self._step:g}/s"
