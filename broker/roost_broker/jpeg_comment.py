"""The comment in a JPEG's header, by which a rendered picture says that it is one, wherever it is carried. Pure."""

_START = b"\xff\xd8"
_LONGEST = 0xFFFF - 2

RENDERED = "Rendered by "
"""So begins the comment of a picture that no camera took."""


def comment_of(data: bytes) -> bytes:
    """The first comment (COM) of a JPEG's header; empty where there is none, or it is no JPEG."""
    at = 2
    while data[:2] == _START and at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xFE:
            return data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)
    return b""


def with_comment(data: bytes, comment: str) -> bytes:
    """A JPEG with this comment at its beginning (what is too long is cut off); decoders pass over it."""
    text = comment.encode()[:_LONGEST]
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def is_rendered(data: bytes) -> bool:
    """Whether the picture says that it is rendered."""
    return comment_of(data).startswith(RENDERED.encode())
