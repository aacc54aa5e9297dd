"""Frames by reference: a content-addressed folder.

A frame's name is the SHA-256 of its bytes, so a reference can be checked by whoever resolves it (promise V8):
what is missing, truncated or altered is refused with that reason. Files appear whole or not at all: written beside,
synced, renamed. The same content is stored once. A second store on the same file system adopts by hard link,
which costs no space and no wear.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from roost_broker.durable import make_folder, sync, write_durably
from roost_broker.errors import FrameUnavailable
from roost_broker.messages import FrameRef


class FrameStore:
    """A folder of frames, `<root>/ab/abcdef….jpg`. Any number of processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def relative_path(self, sha256: str) -> str:
        """Where a frame lies below the root."""
        return f"{sha256[:2]}/{sha256}.jpg"

    def path(self, sha256: str) -> Path:
        """Where a frame lies."""
        return self.root / sha256[:2] / f"{sha256}.jpg"

    def put(self, data: bytes, *, width: int, height: int, media_type: str = "image/jpeg") -> FrameRef:
        """Store a frame durably and return its reference."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256)
        if not self._whole(target, len(data)):
            write_durably(target, data)
        return FrameRef(
            sha256=sha256,
            bytes=len(data),
            path=self.relative_path(sha256),
            width=width,
            height=height,
            media_type=media_type,
        )

    def read(self, ref: FrameRef) -> bytes:
        """Bytes of a frame, verified. Raises `FrameUnavailable` (missing, truncated, altered)."""
        # The hash, not the path in the message, says where to look: a message cannot point outside the store.
        try:
            data = self.path(ref.sha256).read_bytes()
        except FileNotFoundError as error:
            raise FrameUnavailable("missing", f"Frame {ref.sha256[:12]}… is not in {self.root}.") from error
        if len(data) < ref.bytes:
            raise FrameUnavailable("truncated", f"Frame {ref.sha256[:12]}… has {len(data)} of {ref.bytes} bytes.")
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise FrameUnavailable("altered", f"Frame {ref.sha256[:12]}… does not have the content it is named for.")
        return data

    def bytes_of(self, sha256: str) -> bytes:
        """What lies under this name, not verified. Raises OSError."""
        return self.path(sha256).read_bytes()

    def adopt(self, ref: FrameRef, source: "FrameStore") -> bool:
        """Take over a frame of another store: by hard link where possible, else by copy. Verified.

        Returns False when the frame was already here. Raises `FrameUnavailable`.
        """
        target = self.path(ref.sha256)
        if self._whole(target, ref.bytes):
            return False
        data = source.read(ref)
        make_folder(target.parent)
        try:
            os.link(source.path(ref.sha256), target)
        except FileExistsError:
            write_durably(target, data)  # here, but not whole: replace it
        except OSError:  # another file system, or one without hard links
            write_durably(target, data)
        else:
            sync(target.parent)
        return True

    def remove(self, sha256: str) -> int:
        """Delete a frame; returns the bytes freed (0 when it was not there)."""
        target = self.path(sha256)
        try:
            size = target.stat().st_size
            target.unlink()
        except FileNotFoundError:
            return 0
        return size

    def __iter__(self) -> Iterator[Path]:
        """Every frame's file, in no particular order."""
        return self.root.glob("[0-9a-f][0-9a-f]/*.jpg")

    @staticmethod
    def _whole(target: Path, size: int) -> bool:
        try:
            return target.stat().st_size == size
        except FileNotFoundError:
            return False
