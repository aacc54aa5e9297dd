"""Pictures in: the bytes of a file become an RGB array. Pillow decodes, because it is what every role has.

What is refused, each with its reason: bytes that are no picture, a truncated one, one with more than `MAX_PIXELS`
(checked before anything is unpacked).
"""

import base64
import binascii
import contextlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from roost_broker.errors import PeerError

MAX_PIXELS = 25_000_000
"""Decoding one so large takes some 250 MB for a moment: what a device with 512 MB can just bear."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")


class BadImage(PeerError):
    """Bytes that cannot be used as a picture. A scaffold declines them as `bad-input`."""


def decode(data: bytes) -> NDArray[np.uint8]:
    """RGB picture of shape (height, width, 3), turned upright as its EXIF data says. Raises `BadImage`."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(
                    f"A picture of {width}×{height} is over the limit of {MAX_PIXELS} pixels.", "Send a smaller one."
                )
            _turn_upright(image)
            return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(
            f"{len(data)} bytes that are no picture.", f"Send one of these: {', '.join(FORMATS)}."
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds of error at damaged files
        raise BadImage(f"A damaged picture: {error}.", "Send it again, whole.") from error


def _turn_upright(image: Image.Image) -> None:
    # Damaged EXIF says nothing about the picture; damaged pixels are found when they are converted.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def from_base64(text: str) -> bytes:
    """Bytes of an inline picture (`input.inline`). Raises `BadImage`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage(f"The inline picture is not base64: {error}.", "Encode it as RFC 4648 §4 says.") from error


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """A picture as PNG: lossless, so a golden stays what it is."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def shrink(rgb: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The picture with its longer side at most `longest` pixels."""
    image = Image.fromarray(rgb)
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    return np.array(image, dtype=np.uint8)
