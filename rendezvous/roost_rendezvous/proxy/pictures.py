"""Kind, size and wholeness of a picture, from its bytes alone. Pure.

1. Nothing is decoded: a decoder's memory is bounded by the pixels that the header announces, which are read here.
2. Reading goes from segment to segment (JPEG) or chunk to chunk (PNG); it looks at each byte once at most.
3. A picture without its end is refused: an upload was cut off.
4. What passes may still be damaged inside. The scaffolds decode for real, and decline it as `bad-input`.

JPEG: ITU-T T.81, annex B. PNG: ISO/IEC 15948, chapter 5.
"""

import zlib
from typing import NamedTuple

from roost_rendezvous.proxy.refused import Refused

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# A start of frame is C0 to CF without the tables and the arithmetic conditioning that lie between.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
MAX_SIDE = 65_535
"""A frame reference knows no longer side."""


class Picture(NamedTuple):
    """What the header says. `media_type` is image/jpeg or image/png."""

    media_type: str
    width: int
    height: int


def look_at(data: bytes, *, max_pixels: int) -> Picture:
    """Kind and size of a whole picture. Raises `Refused` (413 too many pixels, 422 no picture, or cut off)."""
    if data.startswith(_JPEG):
        picture = Picture("image/jpeg", *_jpeg_size(data))
    elif data.startswith(_PNG):
        picture = Picture("image/png", *_png_size(data))
    else:
        raise Refused(422, f"These {len(data)} bytes are no JPEG and no PNG.", "Send the bytes of such a file.")
    if not (1 <= picture.width <= MAX_SIDE and 1 <= picture.height <= MAX_SIDE):
        raise Refused(422, f"A picture of {picture.width}×{picture.height} cannot be.", "Send another one.")
    if picture.width * picture.height > max_pixels:
        raise Refused(
            413,
            f"A picture of {picture.width}×{picture.height} is over the limit of {max_pixels} pixels.",
            "Send a smaller one.",
        )
    return picture


def _jpeg_size(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise _cut_off("JPEG")
        if marker in _FRAMES and size is None:
            if length < 8:
                raise Refused(422, "The JPEG's header is damaged.", "Send it again, whole.")
            size = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        at += length
        if marker == _START_OF_SCAN:
            break
    if size is None:
        raise Refused(422, "The JPEG does not say how large it is.", "Send it again, whole.")
    # Some cameras write something of their own behind the end; it must be there, not be last.
    if data.rfind(_END_OF_IMAGE, at) < 0:
        raise _cut_off("JPEG")
    return size


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at `at` and where what belongs to it begins. Any number of FF may stand before it (B.1.1.2)."""
    if at >= len(data):
        raise _cut_off("JPEG")
    if data[at] != 0xFF:
        raise Refused(422, "The JPEG's header is damaged.", "Send it again, whole.")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data) or data[at : at + 1] == b"\xd9":
        raise _cut_off("JPEG")
    return data[at], at + 1


def _png_size(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    view = memoryview(data)
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            raise _cut_off("PNG")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise Refused(422, "The PNG is damaged: a checksum is wrong.", "Send it again, whole.")
        if size is None:
            if kind != b"IHDR" or length != 13:
                raise Refused(422, "The PNG does not begin with its size.", "Send it again, whole.")
            size = int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 12 : at + 16], "big")
        if kind == b"IEND":
            return size
        at = end + 4
    raise _cut_off("PNG")


def _cut_off(kind: str) -> Refused:
    return Refused(422, f"The {kind} is cut off: its end is missing.", "Send it again, whole.")
