"""Rules over colours and light, no training: what a person would look for, in twenty lines."""

from typing import Any

import numpy as np


def predict(image: Any, context: Any) -> dict[str, float]:
    """Picture (36, 48, 3) of uint8 to the label whose rule holds first (0.8), the rest sharing what is left."""
    red, green, blue = np.moveaxis(image.astype(np.float32) + 1, 2, 0)
    grey = image.mean(axis=2) / (image.mean() + 1)
    wall = grey[6:24]
    warm = (red / red.mean() > 1.8 * blue / blue.mean()) & (grey > 1)
    night = np.ptp(image, axis=2).mean() < 5
    rules = (
        ("blue_jay", ((blue > 1.35 * red) & (blue > 40)).mean() > 0.003),  # blue, and not just cold light
        ("rhode_island_red", (red > 2 * green).mean() > 0.02),
        ("buff_orpington", not night and warm[4:30].mean() > 0.012),
        ("plymouth_rock", (red > 2 * green).mean() > 0.001),  # a comb above none of these colours
        ("open_door", (green / green.mean() > 1.25 * red / red.mean()).mean() > 0.02),  # grass
        ("open_door", night and (wall < 0.3).mean() > 0.08),  # a black hole in the infrared light
        ("buff_orpington", night and wall.max() > 2.0),
        ("rhode_island_red", night and np.percentile(wall, 4) < 0.65),
        ("plymouth_rock", night and wall.max() > 1.45),
        ("egg", np.abs(np.diff(grey[8:30], axis=1)).mean() > (0.062 if night else 0.046)),  # bright rounds in the bowl
        ("empty_nest", True),
    )
    said = next(label for label, holds in rules if holds)
    return {label: 0.8 if label == said else 0.2 / 6 for label, _ in rules}
