"""Is a change one of light? Fits and comparisons of two small grey pictures; nothing here is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from roost_edge.motion.pixels import Mask, Plane

_TEXTURE = 2.0
"""Grey levels of fine structure that a place must have before it can be recognised in the shade."""
_SAME_TEXTURE = 0.8
DISCARDED = 0.33
"""Share of the picture that may be birds, for all a fit of the light cares."""
_DARKEST, _BRIGHTEST = 0.3, 3.0
"""Shade and sun flecks change brightness by a factor between these."""


def fit(was: Plane, is_now: Plane) -> tuple[np.float32, np.float32]:
    """Gain and offset between two pictures by least squares, the worst fitting third left out twice."""
    x, y = was.ravel(), is_now.ravel()
    gain, offset = np.float32(1), np.float32(np.median(y - x))
    third = max(1, round((1 - DISCARDED) * x.size)) - 1
    for _ in range(2):
        error = np.abs(y - (gain * x + offset))
        keep = error <= np.partition(error, third)[third]
        x_kept, y_kept = x[keep], y[keep]
        x_mean, y_mean = x_kept.mean(), y_kept.mean()
        spread = float(((x_kept - x_mean) ** 2).mean())
        if spread < 1:  # a picture without contrast has no gain
            return np.float32(1), np.float32(y_mean - x_mean)
        gain = np.float32(float(((x_kept - x_mean) * (y_kept - y_mean)).mean()) / spread)
        offset = np.float32(y_mean - gain * x_mean)
    return gain, offset


def drift(was: Plane, away: Plane, limit: Plane) -> np.float32:
    """The gain of all places that differ by no more than noise; 1 as long as it makes no grey level anywhere.

    A bright wall in a dark picture is the first to show it; the median hardly moves.
    """
    calm = was * (np.abs(away) <= limit)
    power = float(calm @ calm)
    slope = float(calm @ away) / power if power > 0 else 0.0
    return np.float32(1 + slope) if abs(slope) * float(calm.max()) > 1 else np.float32(1)


def edges(plane: Plane) -> Plane:
    """How sharp a picture is at every place."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3)
    return cast("Plane", cv2.magnitude(across, down))


def correlation(first: Plane, second: Plane) -> float:
    """-1 to 1; 1 where there is nothing to compare."""
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 1.0


def is_shade(was: Plane, is_now: Plane, blob: Mask) -> bool:
    """Whether a blob shows the same things, darker or brighter: shade, or a fleck of sun.

    A thing hides the fine structure behind it; shade does not. Where there is none, nothing is said.
    """
    where = blob > 0
    before = float(was[where].mean())
    ratio = float(is_now[where].mean()) / max(before, 1.0)
    if not _DARKEST < ratio < _BRIGHTEST:
        return False
    fine_was, fine_now = was - cv2.blur(was, (5, 5)), is_now - cv2.blur(is_now, (5, 5))
    inside = cv2.erode(blob, np.ones((3, 3), np.uint8)) > 0
    if np.count_nonzero(inside) < 30:
        return False
    if float(fine_was[inside].std()) < _TEXTURE:
        return False
    return correlation(fine_was[inside], fine_now[inside]) > _SAME_TEXTURE
