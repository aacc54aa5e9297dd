"""The camera of the footprint benchmark: something crosses the picture for a while, and then nothing moves any more.

Its pictures are made once, so that what is measured is the device and not the drawing of a picture.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MOVES_FOR = "ROOST_BENCH_MOVES_S"
"""Environment: for so many seconds something moves. A scene gets no arguments of its own."""
_PICTURES = 2
_NOISE = 3


class CrossedThenQuiet:
    """See the module."""

    def __init__(self, seed: int, width: int, height: int, fps: float) -> None:
        rng = np.random.default_rng(seed)
        ramp = np.linspace(90, 130, width, dtype=np.int16)
        wall = np.broadcast_to(ramp[None, :, None], (height, width, 3))
        noise = [rng.integers(-_NOISE, _NOISE + 1, (height, width, 1), dtype=np.int16) for _ in range(_PICTURES)]
        self._pictures = [(wall + one).astype(np.uint8) for one in noise]
        self._width, self._side = width, width // 6
        self._top = (height - self._side) // 2
        self._moving = int(float(os.environ.get(MOVES_FOR, "0")) * fps)
        self._stride = max(1, int(width / (3 * fps)))

    def frame(self, index: int) -> tuple[npt.NDArray[np.uint8], None]:
        """A copy, as a camera's driver gives one."""
        picture = self._pictures[index % _PICTURES].copy()
        if index < self._moving:
            left = index * self._stride % (self._width - self._side)
            picture[self._top : self._top + self._side, left : left + self._side] += 90
        return picture, None
