"""The head of a model: a softmax regression over the features that a frozen backbone gives.

It is a file of its own (`head.npz`: `weights`, one row for each label, and `bias`, both float32), so that two bundles
with one backbone differ in a few kilobytes. Standardising the features is folded into the weights.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Malformed

MAX_NUMBERS = 16_000_000
"""In a head: 64 MB."""

_REMEDY = "Copy the bundle again, or train it anew."


@dataclass(frozen=True, slots=True)
class Head:
    """`weights` (labels, features), `bias` (labels): float32 numbers, held in double precision."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of one picture. In double precision and one at a time: the same alone and in a batch."""
        return np.asarray(self.weights @ features.astype(np.float64) + self.bias, dtype=np.float32)


def pack_head(head: Head) -> bytes:
    """The file's content, the same for the same head."""
    buffer = io.BytesIO()
    np.savez(buffer, weights=head.weights.astype(np.float32), bias=head.bias.astype(np.float32))
    return buffer.getvalue()


def read_head(data: bytes) -> Head:
    """Read a head. Raises `Malformed`; never unpacks anything or runs what is in the file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("its arrays are compressed")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            weights, bias = arrays["weights"], arrays["bias"]
    except (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise Malformed(f"The head cannot be read: {error}.", _REMEDY) from error
    return _checked(weights, bias)


def _checked(weights: Any, bias: Any) -> Head:
    if (weights.dtype, bias.dtype) != (np.float32, np.float32) or weights.ndim != 2 or bias.shape != weights.shape[:1]:
        raise Malformed(f"The head is {weights.dtype} {weights.shape} and {bias.dtype} {bias.shape}.", _REMEDY)
    if weights.size > MAX_NUMBERS or not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise Malformed(f"The head has {weights.size} numbers, or some that are none.", _REMEDY)
    return Head(weights.astype(np.float64), bias.astype(np.float64))
