"""Small pictures of differing requests, for the page."""

import base64
import io
from collections.abc import Iterable
from typing import Protocol

from PIL import Image

from roost_broker.errors import PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_models.inference.images import decode, shrink

LONGEST = 360
"""Pixels of the longer side."""


class Pictured(Protocol):
    """Something about a request."""

    @property
    def frame(self) -> str:
        """SHA-256 of its picture; empty for none."""
        ...


def thumbnails(differing: Iterable[Pictured], frames: FrameStore) -> dict[str, str]:
    """Data URLs by the SHA-256 of the frame; frames that are gone or damaged are left out."""
    found: dict[str, str] = {}
    for one in differing:
        if not one.frame or one.frame in found:
            continue
        try:
            data = frames.read(FrameRef(sha256=one.frame, bytes=0, path="", width=1, height=1))
            picture = shrink(decode(data), LONGEST)
        except (PeerError, OSError):
            continue
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=80)
        found[one.frame] = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return found
