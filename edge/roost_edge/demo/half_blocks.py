"""A photograph in a terminal: two pixels to a character cell, the upper as its colour, the lower as its ground."""

import io
from typing import TypeAlias

Pixel: TypeAlias = tuple[int, int, int]
Cell: TypeAlias = tuple[Pixel, Pixel]
"""Upper and lower half."""


def half_blocks(jpeg: bytes, *, columns: int, rows: int) -> list[list[Cell]]:
    """`rows` lines of `columns` cells. Raises OSError when the bytes are no picture."""
    from PIL import Image  # only whoever looks pays for Pillow

    with Image.open(io.BytesIO(jpeg)) as opened:
        opened.draft("RGB", (columns * 2, rows * 4))
        small = opened.convert("RGB").resize((columns, rows * 2), Image.Resampling.BOX)
    data = small.tobytes()

    def pixel(x: int, y: int) -> Pixel:
        at = (y * columns + x) * 3
        return data[at], data[at + 1], data[at + 2]

    return [[(pixel(x, 2 * y), pixel(x, 2 * y + 1)) for x in range(columns)] for y in range(rows)]
