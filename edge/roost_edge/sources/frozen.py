"""Is a camera frozen? A sensor has noise, so pictures that are the same to the last bit are one picture."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

_EVERY = 4
"""Every so many rows are looked at: 0.1 ms of a frame, and a moving bird is larger."""


class Frozen:
    """Feed it every frame. Pure but for the frame's memory of one number."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._since_ns = 0

    def for_ns(self, image: Image, now_ns: int) -> int:
        """For how long the picture has been this very one."""
        found = zlib.crc32(image[::_EVERY].tobytes())
        if found != self._seen:
            self._seen, self._since_ns = found, now_ns
        return now_ns - self._since_ns
