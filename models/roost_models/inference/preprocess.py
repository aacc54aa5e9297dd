"""A bundle's input contract carried out: any RGB picture becomes exactly what the model was trained on.

Training uses these same functions, so training and serving cannot drift apart. The result is deterministic to the
bit on every machine with the same Pillow: its filters for 8-bit pictures work in fixed point (`box` is the mean of
the area, `bilinear` a triangle as wide as the reduction, so both are free of aliasing), and the range is a table.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roost_models.bundle.manifest import ImageContract

_FILTERS = {"box": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR}


def pixels(rgb: NDArray[np.uint8], contract: ImageContract) -> NDArray[np.uint8]:
    """Steps 1 and 2: RGB of shape (h, w, 3) to (height, width, channels) in the contract's colour order."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a picture is uint8 of shape (height, width, 3), not {rgb.dtype} of {rgb.shape}")
    image = _resized(Image.fromarray(rgb), contract)
    if contract.color == "gray":
        return np.array(image.convert("L"), dtype=np.uint8)[:, :, np.newaxis]
    array = np.array(image, dtype=np.uint8)
    return np.ascontiguousarray(array[:, :, ::-1]) if contract.color == "bgr" else array


def tensor(values: NDArray[np.uint8], contract: ImageContract) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Step 3: pixels to the contract's range, float32; or the same pixels when the range is `uint8`."""
    if isinstance(contract.range, str):
        return values
    return _table(*contract.range)[values]


@lru_cache(maxsize=16)
def _table(low: float, high: float) -> NDArray[np.float32]:
    """Value of each of the 256 levels: one rounding each, and none of the machine's choosing."""
    return (low + np.arange(256, dtype=np.float64) * (high - low) / 255.0).astype(np.float32)


def _resized(image: Image.Image, contract: ImageContract) -> Image.Image:
    width, height = contract.width, contract.height
    method = _FILTERS[contract.method]
    if contract.resize == "crop":
        image = image.crop(_centred(image.width, image.height, width, height))
    if contract.resize == "pad":
        return _padded(image, width, height, method)
    return image if image.size == (width, height) else image.resize((width, height), method)


def _centred(have_w: int, have_h: int, want_w: int, want_h: int) -> tuple[int, int, int, int]:
    """Largest centred box of the wanted shape: left, top, right, bottom. Integers only."""
    if have_w * want_h > have_h * want_w:  # too wide
        wide = max(1, (have_h * want_w) // want_h)
        left = (have_w - wide) // 2
        return left, 0, left + wide, have_h
    tall = max(1, (have_w * want_h) // want_w)
    top = (have_h - tall) // 2
    return 0, top, have_w, top + tall


def _padded(image: Image.Image, width: int, height: int, method: Image.Resampling) -> Image.Image:
    if image.width * height > image.height * width:  # the width decides
        size = (width, max(1, image.height * width // image.width))
    else:
        size = (max(1, image.width * height // image.height), height)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(image.resize(size, method), ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas
