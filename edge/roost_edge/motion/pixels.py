"""What differs from the background, in numbers: the pixel half of the motion detector.

All arithmetic is float32: subtracting uint8 pictures wraps round, the classic way not to see a large dark bird. Nothing
here knows about time beyond the share by which to learn; `detector` decides what the numbers mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import cv2
import numpy as np

from roost_edge.motion.areas import Areas
from roost_edge.motion.light import correlation, edges, fit, is_shade
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
_TONE = 0.12
"""A camera's tone curve is no straight line: so much of a fitted change may be wrong at any place."""
_CORE = 0.4
_STILL_DELTA = np.float32(6)
"""Grey levels by which a pixel may differ between two frames of a thing that does not move."""
_STILL_SHARE = 0.03
_GHOST_EDGES = 0.9
_GHOST_LOOKS = 0.6
_KERNEL = np.ones((3, 3), np.uint8)
_JOIN = np.ones((7, 7), np.uint8)


@dataclass(frozen=True, slots=True)
class Look:
    """One frame against the background. Areas are shares of the picture."""

    light: Literal["", "whole", "part"]
    """The change is one of light: of the whole picture, and the rest was judged as if it had not been; or of a part."""
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
        self._areas = Areas(settings, (first.shape[0], first.shape[1]))
        self._mean = first.copy()
        self._relit: Plane | None = None
        """The mean in the light of the last frame, where that is another."""
        self._deviation = np.full_like(first, _FIRST_DEVIATION)
        self._last = first
        self._diff = np.zeros_like(first)
        self._blob: Mask = np.zeros(first.shape, np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._mean.shape

    def look(self, now: Plane) -> Look:
        """Compare a frame with the background; changes nothing but what `learn` and `absorb` then refer to."""
        self._diff = now - self._mean
        limit = np.maximum(self._deviation * self._settings.noise_factor, self._settings.min_delta)
        mask = self._beyond(self._diff, limit)
        share = cv2.countNonZero(mask) / mask.size
        light: Literal["", "whole", "part"] = ""
        # Drifts and steps of exposure move all pixels together; the median is not moved by a bird.
        self._relit = None
        if abs(float(np.median(self._diff[::3, ::3]))) > 1 or share > self._settings.light_share:
            gain, offset = fit(self._mean[::3, ::3], now[::3, ::3])
            relit = np.clip(gain * self._mean + offset, 0, 255).astype(np.float32)
            diff = now - relit
            rest = self._beyond(diff, limit + np.float32(_TONE) * np.abs(relit - self._mean))
            left = cv2.countNonZero(rest) / rest.size
            even = self._evenness(mask)
            if share <= self._settings.light_share or (
                left < _EXPLAINED * max(share, self._settings.light_share) and even >= self._settings.light_evenness
            ):
                light = "whole" if share > self._settings.light_share else ""
                self._relit, self._diff, mask = relit, diff, rest
            elif even >= self._settings.light_evenness and self._same_things(now, mask):
                light = "part"
        area, box = self._largest(mask)
        still = bool(box) and self._is_still(now, limit)
        self._last = now
        return Look(light=light, area=area, box=box, still=still)

    def zones(self) -> tuple[str, ...]:
        """In which zones of the settings the blob is."""
        return self._areas.zones_of(self._blob)

    def _beyond(self, difference: Plane, limit: Plane) -> Mask:
        found = cast("Mask", (np.abs(difference) > limit).view(np.uint8))
        return found if self._areas.watched is None else cast("Mask", found & self._areas.watched)

    def _evenness(self, mask: Mask) -> float:
        signs = np.sign(self._diff[mask > 0])
        return abs(float(signs.mean())) if signs.size else 1.0

    def _same_things(self, now: Plane, mask: Mask) -> bool:
        where = mask > 0
        return correlation(edges(self._mean)[where], edges(now)[where]) > _LOOK_LIKE

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
        if size < self._settings.sure_area * mask.size:
            # Blur makes small things of strong contrast, such as insects, larger than they are: count their core.
            found = np.abs(self._diff[self._blob > 0])
            size = int(np.count_nonzero(found > _CORE * np.quantile(found, 0.8)))
        rows, columns = mask.shape
        return size / mask.size, (left / columns, top / rows, wide / columns, tall / rows)

    def _is_still(self, now: Plane, limit: Plane) -> bool:
        moved = self._beyond(now - self._last, np.maximum(limit * np.float32(0.75), _STILL_DELTA))
        inside = cv2.countNonZero(self._blob)
        return cv2.countNonZero(cv2.bitwise_and(moved, self._blob)) < _STILL_SHARE * inside

    def looks_shaded(self) -> bool:
        """Whether the blob is shade or a fleck of sun: the same things as in the background, darker or brighter."""
        return is_shade(self._mean if self._relit is None else self._relit, self._last, self._blob)

    def looks_left(self) -> bool:
        """Whether the blob is the place that something left.

        Its rim is sharper in the background than in the frame, or it looks more like what is round it than before.
        """
        rim = (cv2.dilate(self._blob, _KERNEL) - cv2.erode(self._blob, _KERNEL)) > 0
        if not rim.any():  # the blob is the whole picture
            return False
        was, is_now = edges(self._mean)[rim].mean(), edges(self._last)[rim].mean()
        if is_now < _GHOST_EDGES * was:
            return True
        ring = cv2.dilate(self._blob, _KERNEL, iterations=6) - cv2.dilate(self._blob, _KERNEL, iterations=2)
        around, inside = ring > 0, self._blob > 0
        return _unlike(self._last, inside, around) < _GHOST_LOOKS * _unlike(self._mean, inside, around)

    def learn(self, share: float, *, spare_blob: bool) -> None:
        """Move the background towards the last frame by `share`; the blob is left out while something is there."""
        if self._relit is not None:  # at once, or the new light would pass for noise and blind every pixel
            self._mean, self._relit = self._relit, None
        quiet = 1 - cv2.dilate(self._blob, _KERNEL, iterations=3).astype(np.float32) if spare_blob else np.float32(1)
        self._mean += self._diff * np.float32(share) * quiet
        away = np.minimum(np.abs(self._diff), _MAX_DEVIATION) - self._deviation
        away *= np.float32(min(share, 0.2))
        self._deviation += away * quiet

    def absorb(self, *, blob_only: bool) -> None:
        """Take the last frame as background at once, wholly or where the blob is."""
        if blob_only:
            where = cv2.dilate(self._blob, _KERNEL, iterations=3) > 0
            self._mean[where] = self._last[where]
            self._diff[where] = 0
            if self._relit is not None:
                self._relit[where] = self._last[where]
        else:
            self._mean, self._relit = self._last.copy(), None
            self._diff[:] = 0


def _unlike(plane: Plane, inside: NDArray[np.bool_], around: NDArray[np.bool_]) -> float:
    """How much brightness and structure of a place differ from those of what is round it, in grey levels."""
    here, there = plane[inside], plane[around]
    if not there.size:
        return 0.0
    return abs(float(here.mean() - there.mean())) + abs(float(here.std() - there.std()))
