"""Rendered pictures for the tests of motion: a textured wall, and what happens before it."""

from collections.abc import Iterable

import numpy as np

from roost_broker.clock import MS
from roost_edge.motion.detector import MotionDetector, MotionVerdict

FRAME_NS = 100 * MS
SIZE = 240, 320


def wall(brightness: float = 120, seed: int = 1) -> np.ndarray:
    """A textured wall with sensor noise."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    texture = 25 * ((columns // 20 + rows // 20) % 2)
    noise = np.random.default_rng(seed).normal(0, 3, SIZE)
    return np.clip((brightness + texture + noise)[:, :, None].repeat(3, axis=2), 0, 255).astype(np.uint8)


def straw(seed: int = 1) -> np.ndarray:
    """A wall of fine structure, as straw and leaves have it: the same straw, other noise."""
    fine = np.random.default_rng(7).uniform(60, 180, (SIZE[0] // 6, SIZE[1] // 6)).repeat(6, axis=0).repeat(6, axis=1)
    whole = np.full(SIZE, 120.0)
    whole[: fine.shape[0], : fine.shape[1]] = fine
    noise = np.random.default_rng(seed).normal(0, 2, SIZE)
    return np.clip((whole + noise)[:, :, None].repeat(3, axis=2), 0, 255).astype(np.uint8)


def with_square(image: np.ndarray, left: int, level: int, side: int = 50, top: int = 100) -> np.ndarray:
    """Something before the wall."""
    image = image.copy()
    image[top : top + side, left : left + side] = level
    return image


def watch(images: Iterable[np.ndarray], detector: MotionDetector | None = None, start: int = 0) -> list[MotionVerdict]:
    """Every picture's verdict, at ten frames a second."""
    detector = detector or MotionDetector()
    return [detector.update(image, (start + index) * FRAME_NS) for index, image in enumerate(images)]


def quiet(count: int = 20) -> list[np.ndarray]:
    """Nothing happens, for two seconds."""
    return [wall(seed=index) for index in range(count)]
