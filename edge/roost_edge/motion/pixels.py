"""What differs from the background, in numbers: the pixel half of the motion detector.

All arithmetic is float32: subtracting uint8 pictures wraps round, the classic way not to see a large dark bird. Nothing
here knows about time beyond the share by which to learn; `detector` decides what the numbers mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from roost_edge.motion.settings import MotionSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Mask = NDArray[np.uint8]

_FIRST_DEVIATION = 2.0
_MAX_DEVIATION = 20.0
"""However much leaves flicker, a contrast of `noise_factor` × this is still seen."""
_LOOK_LIKE = 0.6
"""Correlation of edges from which two pictures show the same things in another light."""
_EXPLAINED = 0.3
"""A light step of the whole picture leaves at most this part of the change when brightness and contrast are fitted."""
_STILL_SHARE = 0.03
_GHOST_EDGES = 0.9
_KERNEL = np.ones((3, 3), np.uint8)
_JOIN = np.ones((7, 7), np.uint8)


@dataclass(frozen=True, slots=True)
class Look:
    """One frame against the background. Areas are shares of the picture."""

    light: bool
    """The change is one of light, not of things."""
    area: float
    """Largest connected blob after opening."""
    box: tuple[float, float, float, float] | None
    """Its left, top, width, height, as shares of width and height."""
    still: bool
    """Nothing has moved within the blob since the last frame."""


def small_gray(image: NDArray[np.uint8], width: int) -> Plane:
    """A small grey picture; averaging neighbours already removes most of the noise."""
    tall, wide = image.shape[:2]
    size = width, max(8, round(tall * width / wide))
    small: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if small.ndim == 3:
        small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return cast("Plane", small.astype(np.float32))


class Background:
    """Running mean and running deviation of every pixel."""

    def __init__(self, settings: MotionSettings, first: Plane) -> None:
        self._settings = settings
        self._mean = first.copy()
        self._deviation = np.full_like(first, _FIRST_DEVIATION)
        self._last = first
        self._diff = np.zeros_like(first)
        self._drift = np.float32(0)
        self._blob: Mask = np.zeros(first.shape, np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._mean.shape

    def look(self, now: Plane) -> Look:
        """Compare a frame with the background; changes nothing but what `learn` and `absorb` then refer to."""
        self._diff = now - self._mean
        limit = np.maximum(self._deviation * self._settings.noise_factor, self._settings.min_delta)
        # Slow drifts of exposure move all pixels together; the median is not moved by a bird.
        drift = float(np.median(self._diff[::3, ::3]))
        raw = _beyond(self._diff, limit)
        self._drift = np.float32(drift)
        self._diff -= self._drift
        mask = _beyond(self._diff, limit) if abs(drift) > 1 else raw
        light = cv2.countNonZero(raw) / raw.size > self._settings.light_share and self._is_light(now, raw, limit)
        area, box = self._largest(mask)
        still = bool(box) and self._is_still(now, limit)
        self._last = now
        return Look(light=light, area=area, box=box, still=still)

    def _is_light(self, now: Plane, mask: Mask, limit: Plane) -> bool:
        where = mask > 0
        signs = np.sign(now[where] - self._mean[where])
        if abs(float(signs.mean())) < self._settings.light_evenness:
            return False
        gain, offset = _fit(self._mean[::2, ::2], now[::2, ::2])
        left = cv2.countNonZero(_beyond(now - (gain * self._mean + offset), limit)) / mask.size
        if left < _EXPLAINED * self._settings.light_share:
            return True
        return _correlation(_edges(self._mean)[where], _edges(now)[where]) > _LOOK_LIKE

    def _largest(self, mask: Mask) -> tuple[float, tuple[float, float, float, float] | None]:
        # Opening removes rain and noise; closing joins the parts of a bird whose colour is that of the straw in places.
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _KERNEL)
        joined = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _JOIN)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        if count < 2:
            self._blob = np.zeros(mask.shape, np.uint8)
            return 0.0, None
        best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        self._blob = (labels == best).astype(np.uint8)
        left, top, wide, tall, size = (int(value) for value in stats[best])
        rows, columns = mask.shape
        return size / mask.size, (left / columns, top / rows, wide / columns, tall / rows)

    def _is_still(self, now: Plane, limit: Plane) -> bool:
        moved = _beyond(now - self._last, limit * np.float32(0.75))
        inside = cv2.countNonZero(self._blob)
        return cv2.countNonZero(cv2.bitwise_and(moved, self._blob)) < _STILL_SHARE * inside

    def looks_left(self) -> bool:
        """Whether the blob is the place that something left: its rim is sharper in the background than in the frame."""
        rim = (cv2.dilate(self._blob, _KERNEL) - cv2.erode(self._blob, _KERNEL)) > 0
        was, is_now = _edges(self._mean)[rim].mean(), _edges(self._last)[rim].mean()
        return bool(is_now < _GHOST_EDGES * was)

    def learn(self, share: float, *, spare_blob: bool) -> None:
        """Move the background towards the last frame by `share`; the blob is left out while something is there."""
        self._mean += self._drift  # at once, or the drift would pass for noise and blind every pixel
        self._drift = np.float32(0)
        step = self._diff * np.float32(share)
        quiet = 1 - cv2.dilate(self._blob, _KERNEL, iterations=3).astype(np.float32) if spare_blob else np.float32(1)
        self._mean += step * quiet
        away = np.minimum(np.abs(self._diff), _MAX_DEVIATION) - self._deviation
        away *= np.float32(min(share, 0.2))
        self._deviation += away * quiet

    def absorb(self, *, blob_only: bool) -> None:
        """Take the last frame as background at once, wholly or where the blob is."""
        if blob_only:
            where = cv2.dilate(self._blob, _KERNEL, iterations=3) > 0
            self._mean[where] = self._last[where]
        else:
            self._mean = self._last.copy()

    def relight(self) -> None:
        """After a change of light: the background in the new light. A bird that is there stays a difference."""
        gain, offset = _fit(self._mean[::2, ::2], self._last[::2, ::2])
        limit = np.maximum(self._deviation * self._settings.noise_factor, self._settings.min_delta)
        relit = (gain * self._mean + offset).astype(np.float32)
        left = cv2.countNonZero(_beyond(self._last - relit, limit)) / relit.size
        # A patch of sun is not a change of the whole picture: then take the frame as it is.
        self._mean = relit if left < _EXPLAINED * self._settings.light_share else self._last.copy()


def _beyond(difference: Plane, limit: Plane) -> Mask:
    return cast("Mask", (np.abs(difference) > limit).view(np.uint8))


def _fit(was: Plane, is_now: Plane) -> tuple[np.float32, np.float32]:
    """Gain and offset between two pictures by least squares, the worst fitting third left out twice."""
    x, y = was.ravel(), is_now.ravel()
    gain, offset = np.float32(1), np.float32(np.median(y - x))
    for _ in range(2):
        error = np.abs(y - (gain * x + offset))
        keep = error <= np.quantile(error, 0.67)
        x_kept, y_kept = x[keep], y[keep]
        x_mean, y_mean = x_kept.mean(), y_kept.mean()
        spread = float(((x_kept - x_mean) ** 2).mean())
        if spread < 1:  # a picture without contrast has no gain
            return np.float32(1), np.float32(y_mean - x_mean)
        gain = np.float32(float(((x_kept - x_mean) * (y_kept - y_mean)).mean()) / spread)
        offset = np.float32(y_mean - gain * x_mean)
    return gain, offset


def _edges(plane: Plane) -> Plane:
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3)
    return cast("Plane", cv2.magnitude(across, down))


def _correlation(first: Plane, second: Plane) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 1.0
