"""Labelled scenes as people keep pictures: a folder for each label. On wish with one label's pictures in another's.

That is the book's figure 7-2: whoever labelled took Plymouth Rocks for Buff Orpingtons, the model learnt it, and it was
noticed only when it was served. The same seed gives the same pictures whatever they are called, so corrected labels are
labels of the same pictures.
"""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from roost_broker.errors import Misuse
from roost_broker.jpeg_comment import RENDERED, with_comment
from roost_henhouse.dataset import SEED_STRIDE
from roost_henhouse.files import Progress, jpeg
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS

QUALITY = 88
SIZE = (320, 240)
"""Width and height: enough for a model that looks at 96×96, and quick to render."""


def write_scenes(
    folder: Path,
    per_class: int,
    seed: int,
    mislabel: Mapping[str, str] | None = None,
    *,
    size: tuple[int, int] = SIZE,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> dict[str, int]:
    """Write `per_class` pictures of each label to `folder/<label>/`; returns how many each folder got.

    `mislabel` says as what a label's pictures are kept wrongly; spaces are taken for underscores. Raises `Misuse` for
    a label that is none.
    """
    called = {_label(shown): _label(wrong) for shown, wrong in (mislabel or {}).items()}
    numbers = range(per_class * len(LABELS))
    written: dict[str, int] = {}
    make = partial(_one, seed=seed, size=size)
    for number, data in zip(numbers, _rendered(make, numbers, workers), strict=True):
        label = LABELS[number % len(LABELS)]
        kept = folder / called.get(label, label)
        kept.mkdir(parents=True, exist_ok=True)
        (kept / f"{number:05d}.jpg").write_bytes(data)
        written[kept.name] = written.get(kept.name, 0) + 1
        progress(number + 1, len(numbers))
    return written


def _rendered(make: "partial[bytes]", numbers: range, workers: int) -> "list[bytes] | map[bytes]":
    if workers == 1:
        return map(make, numbers)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(make, numbers, chunksize=8))


def _one(number: int, *, seed: int, size: tuple[int, int]) -> bytes:
    own = seed * SEED_STRIDE + number
    picture, _ = still(LABELS[number % len(LABELS)], own, size)
    return with_comment(jpeg(picture, QUALITY), f"{RENDERED}roost_henhouse, seed {own}")


def _label(text: str) -> str:
    label = text.strip().lower().replace(" ", "_")
    if label not in LABELS:
        raise Misuse(f"There is no label {text!r}.", f"Use one of: {', '.join(LABELS)}.")
    return label
