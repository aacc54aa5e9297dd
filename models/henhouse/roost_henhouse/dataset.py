"""Rendered stills as training arrays, shrunk by the very functions that shrink a camera's frame when it is served."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.bundle.manifest import ImageContract
from roost_models.inference.preprocess import pixels

# Stills of one seed are numbered; seeds lie so far apart that no two sets share a still (or a box).
SEED_STRIDE = 1_000_000

Report = Callable[[str], None]


def stills(
    count: int,
    seed: int,
    contract: ImageContract,
    *,
    workers: int = 1,
    keep: Path | None = None,
    report: Report = lambda text: None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pictures (count, height, width, channels) and label numbers (count,), the labels in turn.

    `keep` is a folder where finished sets are kept: rendering 5,600 of them takes minutes.
    """
    name = (
        f"stills-{count}-{seed}-{contract.width}x{contract.height}-{contract.color}-{contract.resize}-{contract.method}"
    )
    kept = keep / f"{name}.npz" if keep else None
    if kept is not None and kept.exists():
        with np.load(kept) as arrays:
            return arrays["pictures"], arrays["labels"]
    pictures = []
    make = partial(_one, seed=seed, contract=contract)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, picture in enumerate(pool.map(make, range(count), chunksize=20), start=1):
            pictures.append(picture)
            if number % 500 == 0 or number == count:
                report(f"rendered {number} of {count} stills of seed {seed}")
    found = np.stack(pictures), np.arange(count) % len(LABELS)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, pictures=found[0], labels=found[1])
    return found


def _one(number: int, *, seed: int, contract: ImageContract) -> npt.NDArray[np.uint8]:
    picture, _ = still(LABELS[number % len(LABELS)], seed * SEED_STRIDE + number)
    return pixels(picture, contract)
