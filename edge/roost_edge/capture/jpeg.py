"""From a frame to the JPEG that is stored, within bounds of pixels and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse
from roost_broker.jpeg_comment import RENDERED, comment_of, is_rendered, with_comment
from roost_broker.private_data import cleaned
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.scale import fit

if TYPE_CHECKING:
    from roost_edge.sources.frame import Frame, Image

_LOWEST_QUALITY = 40
_LONGEST_NOTE = 200


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture ready for the frame store."""

    data: bytes
    width: int
    height: int


def jpeg_of(frame: Frame, settings: CaptureSettings) -> Jpeg:
    """The frame as JPEG: its own file where that is within bounds, else encoded, smaller and coarser as needed.

    What a file tells beside its picture (EXIF: where, when, with what) is left out here, where pictures come in. A
    rendered picture says so in its comment, whatever becomes of it: nobody is to take figures from it for real ones.
    """
    image = fit(frame.image, settings.max_width, settings.max_height)
    file = cleaned(frame.encoded) if image is frame.image and frame.encoded is not None else None
    if file is not None and len(file) <= settings.max_frame_bytes:
        return Jpeg(file, image.shape[1], image.shape[0])
    quality, note = settings.jpeg_quality, _note(frame)
    while True:
        data = _encode(image, quality)
        if note:
            data = with_comment(data, note)
        if len(data) <= settings.max_frame_bytes:
            return Jpeg(data, image.shape[1], image.shape[0])
        if quality > _LOWEST_QUALITY:
            quality = max(_LOWEST_QUALITY, quality - 15)
        elif min(image.shape[:2]) >= 32:
            image = fit(image, image.shape[1] // 2, image.shape[0] // 2)
        else:
            raise Misuse(f"No picture fits into {settings.max_frame_bytes} bytes.", "Raise max_frame_bytes.")


def _note(frame: Frame) -> str:
    """The comment of a rendered picture; empty for any other, whose comment is nobody's business."""
    if frame.rendered_by:
        return f"{RENDERED}{frame.rendered_by}"[:_LONGEST_NOTE]
    if frame.encoded is not None and is_rendered(frame.encoded):
        return comment_of(frame.encoded).decode("utf-8", "replace")[:_LONGEST_NOTE]
    return ""


def _encode(image: Image, quality: int) -> bytes:
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    good, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise Misuse(f"A picture of shape {image.shape} cannot be encoded as JPEG.", "Sources deliver RGB uint8.")
    return data.tobytes()
