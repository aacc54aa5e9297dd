"""What differs from the background, in numbers: the pixel half of the motion detector.

All arithmetic is float32: subtracting uint8 pictures wraps round, the classic way not to see a large dark bird. Nothing
here knows about time beyond the share by which to learn; `detector` decides what the numbers mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import cv2
import numpy as np

from roost_edge.motion.areas import Areas
from roost_edge.motion.light import DISCARDED, correlation, drift, edges, fit, is_shade
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
_ENOUGH = 0.2
"""Share of the picture that must be free of birds to be asked about the light."""
_NEWS = 4.0
"""A change of light is news when it is so many times as large as those of late; else the lamp flickers as it does."""
_CORE = 0.4
_STILL_DELTA = np.float32(6)
"""Grey levels by which a pixel may differ between two frames of a thing that does not move."""
_STILL_SHARE = 0.03
_GHOST_EDGES = 0.9
_GHOST_LOOKS = 0.6
_THIRD = 3
_KERNEL = np.ones((3, 3), np.uint8)
_JOIN = np.ones((7, 7), np.uint8)
_REACH = 4
"""Pixels round what is joined that must be seen for the same to come out as in the whole picture."""


Light: TypeAlias = Literal["", "whole", "part"]


@dataclass(frozen=True, slots=True)
class Look:
    """One frame against the background. Areas are shares of the picture."""

    light: Light
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
    small: Any = image
    # Halves are what OpenCV reduces by in vector instructions: a third of the time of one step.
    while wide % 2 == tall % 2 == 0 and wide >= 2 * size[0] and tall >= 2 * size[1]:
        wide, tall = wide // 2, tall // 2
        small = cv2.resize(small, (wide, tall), interpolation=cv2.INTER_AREA)
        if small.ndim == 3:
            small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    if (wide, tall) != size:
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
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
        self._shift = self._swing = 0.0
        """Grey levels by which the light went up or down since the last frame, and by which it usually does."""
        self._diff = np.zeros_like(first)
        self._blob: Mask = np.zeros(first.shape, np.uint8)
        self._found = False
        """Whether there is a blob."""
        self._scratch = np.empty_like(first)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._mean.shape

    def look(self, now: Plane) -> Look:
        """Compare a frame with the background; changes nothing but what `learn` and `absorb` then refer to."""
        before = self._diff
        least = np.maximum(self._deviation * self._settings.noise_factor, self._settings.min_delta)
        self._diff, limit = _against(self._mean, now, least)
        mask, light, gain = self._without_light(now, self._beyond(self._diff, limit), limit, least)
        area, box = self._largest(mask)
        still = bool(box) and self._is_still(gain * before, limit)
        self._last = now
        return Look(light=light, area=area, box=box, still=still)

    def _without_light(self, now: Plane, mask: Mask, limit: Plane, least: Plane) -> tuple[Mask, Light, np.float32]:
        """What differs when a change of light is taken out, what kind of change that was, and its gain."""
        settings = self._settings
        self._relit = None
        # A bird that is known to be there is not asked about the light, however much of the picture it covers.
        free = self._free()
        share = _share(mask, free)
        was, away = _some(self._mean, free), _some(self._diff, free)
        # Drifts and steps of exposure move all pixels together; the median is not moved by a bird.
        self._shift = shift = abs(float(np.partition(away, away.size // 2)[away.size // 2]))
        if shift > 1 or share > settings.light_share:
            gain, offset = fit(was, _some(now, free))
        else:
            gain, offset = drift(was, away, _some(limit, free)), np.float32(0)
            if gain == 1:
                return mask, "", gain
        relit = gain * self._mean + offset
        diff, spared = _against(relit, now, least)
        rest = self._beyond(diff, spared + np.float32(_TONE) * np.abs(relit - self._mean))
        left, even = _share(rest, free), self._evenness(mask, free)
        usual = 1 < shift <= _NEWS * self._swing  # such a lamp need not prove itself
        explained = left < _EXPLAINED * max(share, settings.light_share) and even >= settings.light_evenness
        if share <= settings.light_share or explained or (usual and left < DISCARDED):
            self._relit, self._diff = relit, diff
            return rest, "whole" if share > settings.light_share and not usual else "", gain
        part = even >= settings.light_evenness and self._same_things(now, mask)
        return mask, "part" if part else "", np.float32(1)

    def _free(self) -> Mask | None:
        """1 where nothing was in the last frame; None: everywhere, or hardly anywhere."""
        if not self._found:
            return None
        free = cast("Mask", 1 - cv2.dilate(self._blob, _KERNEL, iterations=3))
        return free if cv2.countNonZero(free) > _ENOUGH * free.size else None

    def zones(self) -> tuple[str, ...]:
        """In which zones of the settings the blob is."""
        return self._areas.zones_of(self._blob)

    def _beyond(self, difference: Plane, limit: Plane) -> Mask:
        found = cast("Mask", (np.abs(difference) > limit).view(np.uint8))
        return found if self._areas.watched is None else cast("Mask", found & self._areas.watched)

    def _evenness(self, mask: Mask, free: Mask | None) -> float:
        some = mask if free is None else mask & free
        count = cv2.countNonZero(some)
        brighter = cv2.countNonZero(some & (self._diff > 0).view(np.uint8))
        return abs(2 * brighter / count - 1) if count else 1.0

    def _same_things(self, now: Plane, mask: Mask) -> bool:
        where = mask > 0
        return correlation(edges(self._mean)[where], edges(now)[where]) > _LOOK_LIKE

    def _largest(self, mask: Mask) -> tuple[float, tuple[float, float, float, float] | None]:
        # Opening removes rain and noise; closing joins the parts of a bird whose colour is that of the straw in places.
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _KERNEL)
        if self._found:
            self._blob[:] = 0
        left, top, wide, tall = cv2.boundingRect(opened)
        self._found = wide > 0
        if not self._found:
            return 0.0, None
        # Only that part is gone through, with room for what closing adds.
        x, y = max(0, left - _REACH), max(0, top - _REACH)
        part = slice(y, top + tall + _REACH), slice(x, left + wide + _REACH)
        joined = cv2.morphologyEx(opened[part], cv2.MORPH_CLOSE, _JOIN)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        self._blob[part] = labels == best
        left, top, wide, tall, size = (int(value) for value in stats[best] + (x, y, 0, 0, 0))
        if size < self._settings.sure_area * mask.size:
            # Blur makes small things of strong contrast, such as insects, larger than they are: count their core.
            found = np.abs(self._diff[self._blob > 0])
            size = int(np.count_nonzero(found > _CORE * np.quantile(found, 0.8)))
        rows, columns = mask.shape
        return size / mask.size, (left / columns, top / rows, wide / columns, tall / rows)

    def _is_still(self, before: Plane, limit: Plane) -> bool:
        """Against the last frame's difference in today's light: what stands in a lamp that flickers stands still."""
        moved = self._beyond(self._diff - before, np.maximum(limit * np.float32(0.75), _STILL_DELTA))
        inside = cv2.countNonZero(self._blob)
        return cv2.countNonZero(cv2.bitwise_and(moved, self._blob)) < _STILL_SHARE * inside

    @property
    def _expected(self) -> Plane:
        """The background in the light of the last frame."""
        return self._mean if self._relit is None else self._relit

    def looks_shaded(self) -> bool:
        """Whether the blob is shade or a fleck of sun: the same things as in the background, darker or brighter."""
        return is_shade(self._expected, self._last, self._blob)

    def looks_left(self) -> bool:
        """Whether the blob is the place that something left.

        Its rim is sharper in the background than in the frame, or it looks more like what is round it than before.
        """
        rim = (cv2.dilate(self._blob, _KERNEL) - cv2.erode(self._blob, _KERNEL)) > 0
        if not rim.any():  # the blob is the whole picture
            return False
        mean = self._expected
        was, is_now = edges(mean)[rim].mean(), edges(self._last)[rim].mean()
        if is_now < _GHOST_EDGES * was:
            return True
        ring = cv2.dilate(self._blob, _KERNEL, iterations=6) - cv2.dilate(self._blob, _KERNEL, iterations=2)
        around, inside = ring > 0, self._blob > 0
        return _unlike(self._last, inside, around) < _GHOST_LOOKS * _unlike(mean, inside, around)

    def learn(self, share: float, *, spare_blob: bool) -> None:
        """Move the background towards the last frame by `share`; the blob is left out while something is there."""
        if self._relit is not None:  # at once, or the new light would pass for noise and blind every pixel
            self._mean, self._relit = self._relit, None
        self._swing += (self._shift - self._swing) * min(0.2, 5 * share)
        quiet = None
        if spare_blob and self._found:
            quiet = cv2.dilate(self._blob, _KERNEL, iterations=3) == 0
        step = np.multiply(self._diff, np.float32(share), out=self._scratch)
        if quiet is not None:
            step *= quiet
        self._mean += step
        away = np.minimum(np.abs(self._diff, out=self._scratch), _MAX_DEVIATION, out=self._scratch)
        away -= self._deviation
        away *= np.float32(min(share, 0.2))
        if quiet is not None:
            away *= quiet
        self._deviation += away

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


def _against(mean: Plane, now: Plane, least: Plane) -> tuple[Plane, Plane]:
    """The difference, and from how much on it counts: what would be brighter than white says little of how much."""
    if mean.max() <= 255 and mean.min() >= 0:
        return now - mean, least
    shown = np.clip(mean, 0, 255)
    return now - shown, least + np.abs(mean - shown)


def _share(mask: Mask, free: Mask | None) -> float:
    if free is None:
        return cv2.countNonZero(mask) / mask.size
    return cv2.countNonZero(cv2.bitwise_and(mask, free)) / max(1, cv2.countNonZero(free))


def _some(plane: Plane, free: Mask | None) -> Plane:
    """Every ninth pixel is enough to ask about the light."""
    some = plane[::_THIRD, ::_THIRD]
    return some.ravel() if free is None else some[free[::_THIRD, ::_THIRD] > 0]


def _unlike(plane: Plane, inside: NDArray[np.bool_], around: NDArray[np.bool_]) -> float:
    """How much brightness and structure of a place differ from those of what is round it, in grey levels."""
    here, there = plane[inside], plane[around]
    if not there.size:
        return 0.0
    return abs(float(here.mean() - there.mean())) + abs(float(here.std() - there.std()))
