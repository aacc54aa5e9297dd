"""A camera that misbehaves as its settings say, before any other source: for trying out what a device does about it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roost_broker.clock import MS, SECOND, Clock
from roost_edge.sources.faults import CameraFault, Faults
from roost_edge.sources.frame import CameraFailed, Frame, FrameSource

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image


@dataclass(frozen=True, slots=True)
class _Place:
    index: int
    media_ns: int


class FaultySource:
    """Passes on what the other source shows, but for the frames that a fault is for."""

    live = True

    def __init__(self, source: FrameSource, faults: tuple[CameraFault, ...], clock: Clock) -> None:
        self._source = source
        self._faults = Faults(faults)
        self._clock = clock
        self._opened_ns: int | None = None
        self._count = 0
        self._shown: Frame | None = None
        self._broke = False
        self._base = _Place(0, 0)
        self._last = _Place(0, 0)
        self._closed = threading.Event()

    @property
    def stills(self) -> bool:
        """See `FrameSource`."""
        return self._source.stills

    def open(self) -> None:
        """See `FrameSource`."""
        if self._opened_ns is None:
            self._opened_ns = self._clock.monotonic_ns()
        self._closed.clear()
        fault = self._faults.on(self._count, self._elapsed())
        if fault is not None and fault.kind == "drop":
            self._count += 1
            raise CameraFailed(f"{self.describe()} does not open, on purpose.", "It is a fault of the settings.")
        # A camera's time goes on while it is broken; a film that is opened anew would begin again.
        self._base = _Place(self._last.index + 1, self._last.media_ns + 1) if self._broke else _Place(0, 0)
        self._broke = False
        self._source.open()

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        fault = self._faults.on(self._count, self._elapsed())
        self._count += 1
        if fault is None:
            self._shown = self._next()
            return self._shown
        match fault.kind:
            case "hang":
                threading.Event().wait()  # as a driver does: neither `close` nor a signal brings it back
            case "drop":
                self._broke = True
                raise CameraFailed(f"{self.describe()} broke, on purpose.", "It is a fault of the settings.")
            case "slow":
                self._closed.wait(fault.slow_ms * MS / SECOND)
        frame = self._next()
        if frame is None or fault.kind == "slow":
            return frame
        shown = self._shown or frame
        if fault.kind == "freeze":
            self._shown = shown
            return replace(frame, image=shown.image.copy(), luma=shown.luma, encoded=None)
        return replace(frame, image=_picture(fault, frame.image, self._count), luma=None, encoded=None)

    def _next(self) -> Frame | None:
        frame = self._source.read()
        if frame is None:
            return None
        self._last = _Place(frame.index + self._base.index, frame.media_ns + self._base.media_ns)
        return replace(frame, index=self._last.index, media_ns=self._last.media_ns)

    def close(self) -> None:
        """See `FrameSource`."""
        self._closed.set()
        self._source.close()

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"{self._source.describe()} with faults"

    def _elapsed(self) -> int:
        return 0 if self._opened_ns is None else self._clock.monotonic_ns() - self._opened_ns


def _picture(fault: CameraFault, like: Image, seed: int) -> Image:
    import numpy as np

    match fault.kind:
        case "black":
            return np.zeros_like(like)
        case "blur":
            return _blurred(like, max(1, round(fault.blur * like.shape[1] / 2)))
        case "turn":
            return _turned(like, fault.turn_deg)
    return np.random.default_rng(seed).integers(0, 256, like.shape, dtype=np.uint8)


def _blurred(like: Image, radius: int) -> Image:
    """The mean of a square, taken twice along each axis: nearly a Gaussian, without a library."""
    import numpy as np

    found = like.astype(np.float64)
    for axis in (0, 1, 0, 1):
        reach = min(radius, found.shape[axis] - 1)
        padding = [(reach + 1, reach) if one == axis else (0, 0) for one in range(found.ndim)]
        sums = np.cumsum(np.pad(found, padding, mode="edge"), axis=axis)
        width = 2 * reach + 1
        upper, lower = [slice(None)] * found.ndim, [slice(None)] * found.ndim
        upper[axis], lower[axis] = slice(width, None), slice(None, -width)
        found = (sums[tuple(upper)] - sums[tuple(lower)]) / width
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def _turned(like: Image, degrees: float) -> Image:
    """Around the middle; each pixel takes the nearest one of where it was."""
    import numpy as np

    height, width = like.shape[:2]
    angle = np.deg2rad(degrees)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    from_x = np.rint(np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2).astype(np.int64)
    from_y = np.rint(np.sin(angle) * x + np.cos(angle) * y + (height - 1) / 2).astype(np.int64)
    there = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    found = like[np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)]
    found[~there] = 0
    return np.asarray(found, dtype=np.uint8)
