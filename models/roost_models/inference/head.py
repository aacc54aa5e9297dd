"""The head of a model: a softmax regression over the features that a frozen backbone gives.

It is a file of its own (`head.npz`: `weights`, one row for each label, and `bias`, both float32), so that two bundles
with one backbone differ in a few kilobytes. Standardising the features is folded into the weights.
"""

import io
import math
import re
import struct
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Malformed

MAX_BYTES = 64_000_000
"""Of the file: 1,000 labels of 16,000 features."""

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \(([0-9]{1,9}),(?: ([0-9]{1,9}))?\), \} *\n")
"""What numpy writes in front of an array of float32 with one dimension or two."""
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
    np.savez(buffer, weights=_float32(head.weights), bias=_float32(head.bias))
    return buffer.getvalue()


def read_head(data: bytes) -> Head:
    """Read a head. Raises `Malformed`.

    Only the one form that `pack_head` writes: a bundle comes from outside, and what numpy reads otherwise (pickles,
    compressed arrays, headers that are Python expressions) is more than a head needs.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"The head of {len(data)} bytes is over the limit of {MAX_BYTES}.", _REMEDY)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            weights, bias = _array(archive, "weights.npy"), _array(archive, "bias.npy")
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, struct.error) as error:
        raise Malformed(f"The head cannot be read: {error}.", _REMEDY) from error  # RuntimeError: it is encrypted
    if weights.ndim != 2 or bias.shape != weights.shape[:1] or not weights.size:
        raise Malformed(f"The head has weights {weights.shape} and biases {bias.shape}.", _REMEDY)
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise Malformed("The head has weights that are no numbers.", _REMEDY)
    return Head(weights.astype(np.float64), bias.astype(np.float64))


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.float32]:
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > MAX_BYTES:
        raise ValueError(f"{name} is compressed, or too large")
    data = archive.read(entry)
    size = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 2], "little")
    start = len(_MAGIC) + 2 + size
    header = _HEADER.fullmatch(data[len(_MAGIC) + 2 : start])
    if not data.startswith(_MAGIC) or header is None:
        raise ValueError(f"{name} is no array of float32")
    shape = tuple(int(number) for number in header.groups() if number is not None)
    if len(data) - start != 4 * math.prod(shape):
        raise ValueError(f"{name} has not as many numbers as it says")
    return np.frombuffer(data, "<f4", offset=start).reshape(shape)


def _float32(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(numbers, dtype="<f4")
