"""Logistic regression on a 12×12 grid of colours: one small matrix product."""

from pathlib import Path
from typing import Any

import numpy as np


def load(folder: Path) -> Any:
    """Weights (labels, 432) and bias (labels)."""
    with np.load(folder / "weights.npz") as arrays:
        return arrays["weights"], arrays["bias"], [str(label) for label in arrays["labels"]]


def predict(image: Any, context: Any) -> dict[str, float]:
    """Picture (12, 12, 3) of uint8 to a probability for each label."""
    weights, bias, labels = context.model
    grid = image.ravel().astype(np.float32)
    grid = (grid - grid.mean()) / (grid.std() + 8.0)
    logits = weights @ grid + bias
    powers = np.exp(logits - logits.max())
    return dict(zip(labels, (powers / powers.sum()).tolist(), strict=True))
