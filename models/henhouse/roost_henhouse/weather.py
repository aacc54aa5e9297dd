"""What moves and should wake nobody: rain, insects, leaves. Drawn straight onto a picture."""

import cv2
import numpy as np

from roost_henhouse.canvas import Picture, curve, fill, rng_of, stroke


def rain(picture: Picture, seed: int, index: int, strength: float) -> None:
    """Streaks of rain before the box; other streaks in each frame."""
    height, width = picture.shape[:2]
    rng = rng_of(seed, index, 31)
    count = round(70 * strength)
    k = height / 480
    x, y = rng.uniform(0, width, count), rng.uniform(-20, height, count)
    length = rng.uniform(8, 20, count) * k
    slant = 0.12
    veil = picture.copy()
    for i in range(count):
        stroke(veil, [(x[i], y[i]), (x[i] + slant * length[i], y[i] + length[i])], (198, 206, 216), 1)
    cv2.addWeighted(veil, 0.42, picture, 0.58, 0, dst=picture)


def insect(picture: Picture, seed: int, seconds: float) -> None:
    """A fly on a wandering path, a few pixels large."""
    height, width = picture.shape[:2]
    rng = rng_of(seed, 32)
    a, b, c, d = rng.uniform(0.5, 1.6, 4)
    p, q = rng.uniform(0, 2 * np.pi, 2)
    x = width * (0.5 + 0.3 * np.sin(a * seconds + p) + 0.15 * np.sin(2.7 * b * seconds))
    y = height * (0.42 + 0.25 * np.cos(c * seconds + q) + 0.1 * np.sin(3.1 * d * seconds))
    k = height / 480
    body = curve([(x - 4 * k, y), (x, y - 2.4 * k), (x + 4 * k, y), (x, y + 2.4 * k)])
    wings = curve([(x - 2 * k, y - 1 * k), (x - 5 * k, y - 6 * k), (x + 1 * k, y - 3 * k)])
    fill(picture, wings, (150, 150, 150))
    fill(picture, body, (36, 32, 30))


def leaf(picture: Picture, seed: int, progress: float) -> None:
    """A dry leaf that blows across while `progress` goes from 0 to 1."""
    height, width = picture.shape[:2]
    rng = rng_of(seed, 33)
    k = height / 480
    start, end = (-20.0, width + 20.0) if rng.random() < 0.5 else (width + 20.0, -20.0)
    x = start + (end - start) * progress
    y = height * (0.25 + 0.45 * progress + 0.08 * np.sin(9 * progress + rng.uniform(0, 6)))
    angle = 14 * progress + rng.uniform(0, 6)
    long, wide = 13 * k, 6 * k * (0.4 + 0.6 * abs(np.sin(11 * progress)))
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    centre = np.array([x, y])
    tips = [centre - along * long, centre + across * wide, centre + along * long, centre - across * wide]
    fill(picture, curve([(float(px), float(py)) for px, py in tips]), (156, 108, 46))
    stroke(picture, np.stack([tips[0], tips[2]]), (104, 70, 32), 1)
