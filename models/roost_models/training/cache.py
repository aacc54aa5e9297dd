"""Features that were computed before: by picture, backbone and runtime. One file for each backbone and runtime.

A cache, not a record: a file that cannot be read is made anew.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 256_000_000
"""Of one file; pictures that are not asked for now are forgotten first."""

Row = NDArray[np.float32]


class FeatureCache:
    """Features below `folder`; None keeps nothing."""

    def __init__(self, folder: Path | None, backbone: str, runtime: str, *, max_bytes: int = MAX_BYTES) -> None:
        name = hashlib.sha256(f"{backbone} {runtime}".encode()).hexdigest()[:32]
        self._path = None if folder is None else folder / f"{name}.npz"
        self._max_bytes = max_bytes

    def read(self) -> dict[str, Row]:
        """Features by the picture's SHA-256."""
        if self._path is None or not self._path.is_file():
            return {}
        try:
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as arrays:
                digests, rows = arrays["pictures"], arrays["features"]
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
            return {}
        if rows.dtype != np.float32 or rows.ndim != 2 or digests.shape != (len(rows), 32):
            return {}
        return {digest.tobytes().hex(): row for digest, row in zip(digests, rows, strict=True)}

    def write(self, known: dict[str, Row], wanted: Sequence[str]) -> None:
        """Keep what is known, the `wanted` first, as far as there is room."""
        if self._path is None or not known:
            return
        room = self._max_bytes // (32 + next(iter(known.values())).nbytes)
        first = dict.fromkeys(name for name in wanted if name in known)
        kept = sorted([*first, *(name for name in known if name not in first)][:room])
        digests = np.frombuffer(bytes.fromhex("".join(kept)), np.uint8).reshape(-1, 32)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.stem}.{os.getpid()}.new.npz")
        try:
            np.savez(beside, pictures=digests, features=np.stack([known[name] for name in kept]))
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)
