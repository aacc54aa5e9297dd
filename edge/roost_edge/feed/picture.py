"""The posted picture and its thumbnail: encoded anew from the pixels, so nothing else leaves the device."""

import io

from roost_broker.errors import PeerError

_QUALITIES = (88, 78, 65, 50, 35)
_MAX_PIXELS = 25_000_000
_SMALLEST = 48


def clean(jpeg: bytes, *, side: int, max_bytes: int) -> bytes:
    """A JPEG of the same pixels, at most `side` wide and high and of at most `max_bytes`.

    Turned as its EXIF says, which is then left behind with everything else (place, serial number, comments, colour
    profile). Raises `PeerError` when the bytes are no picture, or it cannot be made small enough.
    """
    from PIL import Image, ImageOps  # a process without a feed never pays for Pillow

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG", "PNG", "BMP")) as opened:
            if opened.width * opened.height > _MAX_PIXELS:  # before anything of it is unpacked
                raise PeerError(f"A frame of {opened.width}×{opened.height} is too large to be posted.")
            opened.draft("RGB", (side, side))
            turned = ImageOps.exif_transpose(opened).convert("RGB")
            picture = Image.frombytes("RGB", turned.size, turned.tobytes())
    except PeerError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of error at damaged files
        raise PeerError(f"The frame is not a picture that can be posted: {error}.") from error
    while side >= _SMALLEST:
        picture.thumbnail((side, side))
        for quality in _QUALITIES:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= max_bytes:
                return out.getvalue()
        side = side * 3 // 4
    raise PeerError(f"The picture cannot be posted in {max_bytes} bytes.", "Raise feed.max_picture_bytes.")
