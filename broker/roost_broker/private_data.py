"""Pictures without what they tell beside the picture, whichever format they have. Pure."""

from roost_broker.jpeg_private import without_private

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PRIVATE = frozenset({b"eXIf", b"tEXt", b"iTXt", b"zTXt", b"tIME"})


def cleaned(data: bytes) -> bytes | None:
    """A JPEG or PNG with its pixels as they are; the very same object when it tells nothing beside.

    None: it is neither, or so damaged that nobody knows what is in it.
    """
    if data.startswith(_JPEG):
        return without_private(data)
    return _png(data) if data.startswith(_PNG) else None


def may_leave(data: bytes) -> bool:
    """Whether a device may give a stored picture away: what looks like a picture must have been cleaned."""
    return cleaned(data) is data or not data.startswith((_JPEG, _PNG))


def _png(data: bytes) -> bytes | None:
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return None
        kind = data[at + 4 : at + 8]
        if kind not in _PNG_PRIVATE:
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            clean = b"".join(kept)
            return data if clean == data else clean
    return None
