"""A frame, and the one protocol behind which every camera stands.

Rules that every source keeps, and that `tests/contract/test_sources_contract.py` checks on each that runs there:

1. `open()` raises `Misuse` (settings) or `CameraFailed` (the device) with a remedy; never shows credentials.
2. `read()` blocks for at most the settings' timeouts, returns frames with rising `index`, and None at the end for ever.
   A camera that breaks raises `CameraFailed`; opening again is the caller's business.
3. Images are uint8 RGB of shape (height, width, 3), owned by the reader: a later `read()` does not change them.
4. `close()` may be called at any time, twice, and from another thread; a waiting `read()` then returns None soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from roost_broker.errors import PeerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.uint8]
    """RGB of shape (height, width, 3), or one plane of shape (height, width)."""


class CameraFailed(PeerError):
    """The camera, stream or file does not deliver; whoever reads dies loudly and is restarted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with the moment it was taken."""

    image: Image
    at_monotonic_ns: int
    """When it reached this process, on the clock given to the source."""
    wall_ns: int
    index: int
    """Position in the source; rises, may skip."""
    media_ns: int
    """Position in the source's own time. Live: the monotonic clock. A file read faster than it was filmed still moves
    at the speed at which it was filmed."""
    truth: object | None = None
    """What a synthetic scene says is to be seen."""
    name: str = ""
    """File name, where there is one."""
    luma: Image | None = None
    """A small brightness plane where the camera delivers one for nothing (Picamera2's lores stream)."""
    encoded: bytes | None = None
    """The JPEG file this picture was read from, where it was one: stored as it is, not encoded twice."""
    rendered_by: str = ""
    """What drew this picture, if no camera took it; the stored file says so, too."""


class FrameSource(Protocol):
    """See the module's rules. All calls block: keep them off the event loop."""

    @property
    def stills(self) -> bool:
        """Every picture is an event of its own, so motion is not asked."""
        ...

    @property
    def live(self) -> bool:
        """A camera or stream: one that broke may deliver again when it is opened again."""
        ...

    def open(self) -> None:
        """Get ready to read from the beginning."""
        ...

    def read(self) -> Frame | None:
        """The next frame, or None at the end."""
        ...

    def close(self) -> None:
        """Let the device go."""
        ...

    def describe(self) -> str:
        """One line for people and logs, without credentials."""
        ...
