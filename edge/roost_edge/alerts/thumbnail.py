"""A small picture for people, made from a stored frame."""

import io

from roost_broker.errors import PeerError

_QUALITIES = (80, 65, 50, 35)
_SMALLEST = 48
_MAX_PIXELS = 25_000_000


def thumbnail(jpeg: bytes, *, width: int, max_bytes: int) -> bytes:
    """Re-encode a picture so that its longest side is at most `width` pixels and it has at most `max_bytes`.

    Re-encoding leaves EXIF behind: a retained picture does not tell where the camera hangs. Raises `PeerError`
    when the bytes are no picture or cannot be made small enough.
    """
    from PIL import Image, ImageOps  # a process without alerts never pays for Pillow

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG", "PNG", "BMP")) as opened:
            if opened.width * opened.height > _MAX_PIXELS:  # before anything of it is unpacked
                raise PeerError(f"A frame of {opened.width}×{opened.height} is too large to be shown.")
            opened.draft("RGB", (width, width))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except PeerError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of error at damaged files
        raise PeerError(f"The frame is not a picture that can be shown: {error}.") from error
    side = width
    while side >= _SMALLEST:
        picture.thumbnail((side, side))
        for quality in _QUALITIES:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= max_bytes:
                return out.getvalue()
        side = side * 3 // 4
    raise PeerError(f"The picture cannot be shown in {max_bytes} bytes.", "Raise alerts.snapshot_max_bytes.")
