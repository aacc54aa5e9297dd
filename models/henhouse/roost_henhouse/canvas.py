"""Drawing primitives: pictures, sprites with alpha, soft shapes, seeded noise. Nothing here knows about hens.

Pictures are RGB uint8, height × width × 3. Sprites are RGBA uint8 with *premultiplied* alpha, so that warping and
pasting them leaves no dark fringes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from roost_broker.errors import Misuse

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
Point = tuple[float, float]
Paint = Sequence[float] | npt.NDArray[np.float32] | npt.NDArray[np.float64]

_SHIFT = 4  # cv2 takes sub-pixel coordinates as fixed-point integers with this many bits


def rng_of(*key: int) -> np.random.Generator:
    """Random numbers named by integers: the same key gives the same numbers in every process."""
    if any(part < 0 for part in key):
        raise Misuse(f"A seed or frame index is negative: {key}.", "Use 0 or more.")
    return np.random.default_rng(list(key))


def check_size(width: int, height: int) -> None:
    """Refuse sizes in which nothing could be recognised, or that no camera has."""
    if not (64 <= width <= 4096 and 48 <= height <= 4096):
        raise Misuse(f"A picture of {width}×{height} cannot be rendered.", "Use 64×48 to 4096×4096.")


def curve(points: Sequence[Point], steps: int = 8) -> Matrix:
    """A closed smooth outline (Catmull-Rom) through `points`, as an N×2 array."""
    p = np.asarray(points, dtype=np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (q[:, None, :] for q in (before, p, after, beyond))
    smooth = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.asarray(smooth.reshape(-1, 2))


def fill(target: Picture, outline: Matrix | Sequence[Point], colour: Paint) -> None:
    """Fill a polygon, edges smoothed."""
    fixed = np.round(np.asarray(outline, dtype=np.float64) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(target, [fixed], tuple(float(c) for c in colour), cv2.LINE_AA, _SHIFT)


def stroke(target: Picture, path: Matrix | Sequence[Point], colour: Paint, thickness: float) -> None:
    """Draw an open line, edges smoothed."""
    fixed = np.round(np.asarray(path, dtype=np.float64) * (1 << _SHIFT)).astype(np.int32)
    width = max(1, round(thickness))
    cv2.polylines(target, [fixed], False, tuple(float(c) for c in colour), width, cv2.LINE_AA, _SHIFT)


def mask_of(shape: tuple[int, int], outline: Matrix | Sequence[Point]) -> Picture:
    """A polygon as a smooth mask 0..255 of `shape` (height, width)."""
    mask = np.zeros(shape, np.uint8)
    fill(mask, outline, (255,))
    return mask


def cloud_noise(rng: np.random.Generator, height: int, width: int, grain: float) -> Field:
    """Smooth noise in -1..1 with lumps of about `grain` pixels."""
    rows, columns = max(2, round(height / grain) + 2), max(2, round(width / grain) + 2)
    coarse = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def to_picture(values: Field) -> Picture:
    """Clip and round to uint8."""
    return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0)), dtype=np.uint8)


@dataclass(frozen=True)
class Sprite:
    """A cut-out with premultiplied alpha."""

    rgba: Picture

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.rgba.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.rgba.shape[1])

    def warped(self, matrix: Matrix, width: int, height: int) -> "Sprite":
        """Moved by a 2×3 affine matrix into a canvas of the size given."""
        moved = cv2.warpAffine(self.rgba, matrix, (width, height), flags=cv2.INTER_LINEAR)
        return Sprite(np.asarray(moved, dtype=np.uint8))


def cut_out(colour: Field | Picture, mask: Picture) -> Sprite:
    """A sprite of a colour picture seen through a mask."""
    rgb = np.asarray(colour, dtype=np.float32)
    alpha = mask.astype(np.float32)[:, :, None]
    return Sprite(to_picture(np.concatenate([np.clip(rgb, 0, 255) * (alpha / 255), alpha], axis=2)))


def shrink(sprite: Sprite, factor: float) -> Sprite:
    """A supersampled sprite at its final size."""
    size = (max(2, round(sprite.width / factor)), max(2, round(sprite.height / factor)))
    return Sprite(np.asarray(cv2.resize(sprite.rgba, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))


def over(top: Sprite, below: Sprite) -> Sprite:
    """One sprite laid on another of the same size."""
    keep = cv2.cvtColor(255 - top.rgba[:, :, 3], cv2.COLOR_GRAY2BGRA)
    keep[:, :, 3] = keep[:, :, 0]
    return Sprite(np.asarray(cv2.add(cv2.multiply(below.rgba, keep, scale=1 / 255), top.rgba), dtype=np.uint8))


def paste(target: Picture, sprite: Sprite, x: int, y: int) -> None:
    """Lay a sprite on a picture with its corner at (x, y); what is outside is cut off."""
    height, width = target.shape[:2]
    left, top = max(0, x), max(0, y)
    right, bottom = min(width, x + sprite.width), min(height, y + sprite.height)
    if left >= right or top >= bottom:
        return
    part = np.ascontiguousarray(sprite.rgba[top - y : bottom - y, left - x : right - x])
    keep = cv2.cvtColor(255 - part[:, :, 3], cv2.COLOR_GRAY2BGR)
    region = target[top:bottom, left:right]
    target[top:bottom, left:right] = cv2.add(
        cv2.multiply(region, keep, scale=1 / 255), cv2.cvtColor(part, cv2.COLOR_BGRA2BGR)
    )
