"""A JPEG without what it tells beside the picture: place, owner, device, thumbnail. Pure; nothing is encoded anew.

Cameras and phones write EXIF, XMP and IPTC into a picture's header, and second pictures behind its end. All of that
goes. What is needed to show the picture stays: JFIF, Adobe's colour transform, an ICC profile, which side is up (as the
one entry of a new EXIF block), and the comment by which a rendered picture says that it is one.

A file that is no JPEG that can be followed from marker to marker is refused (None): then nobody knows what is in it.
"""

from collections.abc import Iterator

from roost_broker.jpeg_comment import RENDERED

_START = b"\xff\xd8"
_END = b"\xff\xd9"
_EXIF = b"Exif\x00\x00"
_ICC = b"ICC_PROFILE\x00"
_JFIF = b"JFIF\x00"
_ADOBE = b"Adobe"
_ORIENTATION = 0x0112
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length: TEM, RST0 … RST7."""
_SCAN = 0xDA


def without_private(data: bytes) -> bytes | None:
    """The picture and nothing beside it; the very same object when nothing had to go. None: see the module."""
    end = _end(data)
    if end is None:
        return None
    kept, side_up = [_START], 1
    for marker, segment in _header(data):
        body = segment[4:]
        if marker == 0xE1 and body.startswith(_EXIF):
            side_up = _side_up(body[len(_EXIF) :])
        if _needed(marker, body):
            kept.append(segment)
    scan = sum(len(segment) for _, segment in _header(data)) + 2
    if 2 <= side_up <= 8:
        kept.insert(2 if len(kept) > 1 and kept[1][4:9] == _JFIF else 1, _exif_with(side_up))
    clean = b"".join((*kept, data[scan:end]))
    return data if clean == data else clean


def _needed(marker: int, body: bytes) -> bool:
    if marker == 0xFE:
        return body.startswith(RENDERED.encode())
    if not 0xE0 <= marker <= 0xEF:
        return True
    return (
        (marker == 0xE0 and body.startswith(_JFIF))
        or (marker == 0xE2 and body.startswith(_ICC))
        or (marker == 0xEE and body.startswith(_ADOBE))
    )


def _header(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment before the first scan, with its marker; the caller has found that the file can be followed."""
    at = 2
    while data[at + 1] != _SCAN:
        length = int.from_bytes(data[at + 2 : at + 4], "big") + 2
        yield data[at + 1], data[at : at + length]
        at += length


def _end(data: bytes) -> int | None:
    """Where the picture's own end is; None where the markers do not lead there."""
    at, size, scans = 2, len(data), 0
    if data[:2] != _START:
        return None
    while at + 2 <= size and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2 if scans else None
        if marker in (0x00, 0xFF, 0xD8) or (not scans and marker in _ALONE):
            return None
        if marker in _ALONE:
            at += 2
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if length < 2 or at + 2 + length > size:
                return None
            at += 2 + length
        if marker == _SCAN or marker in _ALONE:
            scans += 1
            found = _after_entropy(data, at)
            if found is None:
                return None
            at = found
    return None


def _after_entropy(data: bytes, at: int) -> int | None:
    """The next marker that is not part of the coded picture (FF 00, restarts)."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        following = data[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0x00 or 0xD0 <= following <= 0xD7:
            at += 2
        else:
            return at
    return None


def _side_up(tiff: bytes) -> int:
    """EXIF's orientation of the main picture, 1 to 8; 1 where it does not say."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1

    def number(at: int, length: int) -> int:
        return int.from_bytes(tiff[at : at + length], "little" if order == "little" else "big")

    table = number(4, 4)
    for entry in range(min(number(table, 2), 200)):
        at = table + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION and number(at + 2, 2) == 3:
            found = number(at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1


def _exif_with(side_up: int) -> bytes:
    """An EXIF block that says which side is up, and no more."""
    entry = _ORIENTATION.to_bytes(2, "big") + b"\x00\x03\x00\x00\x00\x01" + side_up.to_bytes(2, "big") + b"\x00\x00"
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + b"\x00\x01" + entry + b"\x00\x00\x00\x00"
    body = _EXIF + tiff
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
