"""Polygons of the settings as pixels: what is not looked at, and in which zones a blob is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from roost_edge.motion.settings import MotionSettings

if TYPE_CHECKING:
    from roost_edge.motion.pixels import Mask
    from roost_edge.motion.settings import Polygon

_IN_ZONE = 0.2
"""A blob is in a zone when so much of it is; a bird on the rim is in both."""


class Areas:
    """The settings' masks and zones for pictures of one size (rows, columns)."""

    def __init__(self, settings: MotionSettings, shape: tuple[int, int]) -> None:
        self.watched: Mask | None = None
        """1 where motion counts; None: everywhere."""
        if settings.masks:
            hidden = np.zeros(shape, np.uint8)
            for corners in settings.masks:
                _fill(hidden, corners)
            self.watched = (hidden == 0).astype(np.uint8)
        self._zones: list[tuple[str, Mask]] = []
        for name, corners in settings.zones.items():
            self._zones.append((name, _fill(np.zeros(shape, np.uint8), corners)))

    def zones_of(self, blob: Mask) -> tuple[str, ...]:
        """Names of the zones that the blob is in, in the order of the settings."""
        if not self._zones:
            return ()
        enough = max(1.0, _IN_ZONE * cv2.countNonZero(blob))
        return tuple(name for name, zone in self._zones if cv2.countNonZero(cv2.bitwise_and(zone, blob)) >= enough)


def _fill(target: Mask, corners: Polygon) -> Mask:
    rows, columns = target.shape
    # Shares to pixel middles: a polygon over the whole picture ends at its last row and column.
    points = np.array([(x * columns - 0.5, y * rows - 0.5) for x, y in corners])
    cv2.fillPoly(target, [np.round(points).astype(np.int32)], (1,))
    return target
