"""Pictures for the page: frames of the archive, whole or small. The small ones are kept in memory, within a budget.

A small one is encoded anew, which leaves EXIF behind; a whole one is what the camera gave, for whoever may look.
"""

from collections import OrderedDict
from pathlib import Path

from roost_broker.errors import FrameUnavailable, PeerError
from roost_broker.frames import FrameStore
from roost_edge.alerts.thumbnail import thumbnail

SMALL, LARGE = 320, 1280
_BYTES = {SMALL: 40_000, LARGE: 600_000}
_MAX_FRAME = 20_000_000


class Pictures:
    """One thread calls."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held = 0
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, frames: Path, sha256: str, width: int) -> bytes:
        """A JPEG. Raises `FrameUnavailable`, and `PeerError` where it is no picture."""
        key = (sha256, width)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        path = FrameStore(frames).path(sha256)
        try:
            if path.stat().st_size > _MAX_FRAME:
                raise PeerError("This frame is too large to be shown.")
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise FrameUnavailable("missing", "The archive has given this picture up.") from error
        except OSError as error:
            raise PeerError(f"The picture cannot be read: {error.strerror}.", "roost doctor --only storage") from error
        made = thumbnail(data, width=width, max_bytes=_BYTES[width])
        if width == SMALL:
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, int], made: bytes) -> None:
        self._kept[key] = made
        self._held += len(made)
        while self._held > self._budget:
            self._held -= len(self._kept.popitem(last=False)[1])
