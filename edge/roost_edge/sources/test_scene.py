"""A scene that needs nothing but numpy: a bright square crosses a noisy grey wall, rests outside, comes back.

Setting: `scene = "roost_edge.sources.test_scene:MovingSquare"`. For first steps without a camera and for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image


@dataclass(frozen=True, slots=True)
class SquareTruth:
    """Where the square is: left, top, width, height in pixels; None when it is not in the picture."""

    box: tuple[int, int, int, int] | None


class MovingSquare:
    """Quiet for 2 s, a crossing of 3 s, again and again. The same (seed, index) is the same picture."""

    QUIET_S = 2.0
    CROSSING_S = 3.0

    def __init__(self, seed: int = 1, width: int = 640, height: int = 480, fps: float = 10.0) -> None:
        self._size = width, height
        self._seed = seed
        self._fps = fps
        rng = np.random.default_rng(seed)
        self._side = max(4, min(width, height) // 6)
        self._top = int(rng.integers(0, height - self._side))
        ramp = np.linspace(90, 130, width, dtype=np.float32)
        self._wall = np.repeat(np.tile(ramp, (height, 1))[:, :, None], 3, axis=2).astype(np.int16)

    def frame(self, index: int) -> tuple[Image, SquareTruth]:
        """The picture at `index` and what is in it."""
        width, height = self._size
        noise = np.random.default_rng((self._seed, index)).integers(-3, 4, (height, width, 1), dtype=np.int16)
        image = self._wall + noise
        box = self._box(index)
        if box is not None:
            left, top, across, down = box
            image[top : top + down, left : left + across] += 90
        return image.astype(np.uint8), SquareTruth(box)

    def _box(self, index: int) -> tuple[int, int, int, int] | None:
        moment = (index / self._fps) % (self.QUIET_S + self.CROSSING_S) - self.QUIET_S
        if moment < 0:
            return None
        width, _ = self._size
        left = int((width + self._side) * moment / self.CROSSING_S) - self._side
        shown = min(width, left + self._side) - max(0, left)
        return (max(0, left), self._top, shown, self._side) if shown > 0 else None
