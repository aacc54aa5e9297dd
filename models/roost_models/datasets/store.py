"""Versions of datasets as files: `<centre>/datasets/<name>/1.json`, `2.json` … A version is written once.

Pictures lie in the centre's frame store, by content; each is checked whenever it is read.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from roost_broker.centre.layout import CentreLayout
from roost_broker.durable import sync, write_durably
from roost_broker.errors import Misuse, PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_models.datasets.document import Dataset, Item, digest_of, parse, render

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_BYTES = 200_000_000
"""Largest document that is read."""


def open_version(folder: Path, name: str, version: int | None = None) -> tuple[Dataset, str]:
    """A version (None: the newest) of a dataset below the centre's `folder`, and its digest.

    Raises `Misuse` when it is not there, `PeerError` when its file is not what it should be.
    """
    there = versions(folder, name)
    if not there:
        known = ", ".join(names(folder)) or "none"
        raise Misuse(
            f"There is no dataset {name!r} in {folder}.", f"There are: {known}. `roost dataset make` makes one."
        )
    number = there[-1] if version is None else version
    if number not in there:
        raise Misuse(
            f"Dataset {name} has no version {number}.",
            f"It has: {', '.join(map(str, there))}; without one: the newest.",
        )
    path = _file(folder, name, number)
    if path.stat().st_size > MAX_BYTES:
        raise PeerError(f"{path} is larger than {MAX_BYTES} bytes.", "Restore the file from a copy.")
    data = path.read_bytes()
    dataset = parse(data)
    if (dataset.name, dataset.version) != (name, number):
        raise PeerError(
            f"{path} says that it is version {dataset.version} of {dataset.name}.", "Restore the file from a copy."
        )
    return dataset, digest_of(data)


def versions(folder: Path, name: str) -> list[int]:
    """Numbers of a dataset's versions, oldest first."""
    check_name(name)
    found = CentreLayout(folder).datasets(name).glob("[1-9]*.json")
    return sorted(int(path.stem) for path in found if path.stem.isascii() and path.stem.isdigit())


def names(folder: Path) -> list[str]:
    """Datasets that have a version."""
    root = CentreLayout(folder).datasets("any").parent
    return sorted(path.name for path in root.glob("*") if NAME.fullmatch(path.name) and versions(folder, path.name))


def check_name(name: str) -> None:
    """Raises `Misuse` for what is no name: it becomes a folder's."""
    if not NAME.fullmatch(name):
        raise Misuse(
            f"{name!r} is no name for a dataset.", "Use up to 64 letters, digits, _ and -, a letter or digit first."
        )


def ancestors(folder: Path, name: str) -> list[Dataset]:
    """Every version, oldest first."""
    return [open_version(folder, name, number)[0] for number in versions(folder, name)]


def add_version(folder: Path, dataset: Dataset) -> str:
    """Write a version; returns its digest. Raises `Misuse` when somebody else was quicker: nothing is overwritten."""
    path = _file(folder, dataset.name, dataset.version)
    data = render(dataset)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    write_durably(beside, data)
    try:
        os.link(beside, path)  # unlike a rename it never replaces
    except FileExistsError as error:
        raise Misuse(
            f"Dataset {dataset.name} has a version {dataset.version} already.",
            "Run the command again for the next one.",
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)
    return digest_of(data)


def pictures(dataset: Dataset, frames: FrameStore) -> Iterator[tuple[Item, bytes]]:
    """Every item with its picture's bytes, in the document's order. Raises `FrameUnavailable` at the first without."""
    for item in dataset.items:
        yield item, read_picture(frames, item.sha256)


def read_picture(frames: FrameStore, sha256: str) -> bytes:
    """A picture's bytes, compared with its name. Raises `FrameUnavailable`: `missing` or `altered`."""
    return frames.read(FrameRef(sha256=sha256, bytes=0, path="", width=1, height=1))


def _file(folder: Path, name: str, version: int) -> Path:
    return CentreLayout(folder).datasets(name) / f"{version}.json"
