"""What a device's data partition holds after the power has gone: stores, requests, identity. Read from the image."""

import hashlib
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from roost_provisioning.boot_test.card_image import CardImage, copy_folder

_SQLITE: Final = b"SQLite format 3\0"
_IDENTITY: Final = ("device.key", "device.pem", "ca.pem")


@dataclass(frozen=True, slots=True)
class Remains:
    """A look at one moment."""

    stores: dict[str, str] = field(default_factory=dict)
    """Each SQLite file, and what `PRAGMA integrity_check` says of it."""
    accepted: frozenset[str] = frozenset()
    """Ids of all requests in the cameras' logs."""
    open: frozenset[str] = frozenset()
    """Those of them that are not archived and answered."""
    identity: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that says who the device is. The files themselves are not kept."""
    files: int = 0

    @property
    def damaged(self) -> dict[str, str]:
        """Stores that are not sound."""
        return {name: said for name, said in self.stores.items() if said != "ok"}


def look(image: CardImage) -> Remains:
    """Read the data partition of an image that was switched off in order."""
    with tempfile.TemporaryDirectory(prefix="roost-remains-") as scratch:
        return read_folder(image.copy_folder(image.data, "/", Path(scratch)))


def look_at(file_system: Path) -> Remains:
    """The same of a file system that was taken out of an image, and whose journal was replayed."""
    with tempfile.TemporaryDirectory(prefix="roost-remains-") as scratch:
        return read_folder(copy_folder(str(file_system), "/", Path(scratch)))


def read_folder(data: Path) -> Remains:
    """The same of a copied data folder."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not path.is_symlink()]
    stores: dict[str, str] = {}
    accepted: set[str] = set()
    unanswered: set[str] = set()
    for path in files:
        if not _is_store(path):
            continue
        stores[str(path.relative_to(data))] = _integrity(path)
        if path.parent == data / "requests":
            accepted |= _ids(path, "requests")
            unanswered |= _ids(path, "open_requests")
    known = [data / "identity" / name for name in _IDENTITY]
    identity = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in known if path.is_file()}
    return Remains(stores, frozenset(accepted), frozenset(unanswered), identity, len(files))


def _is_store(path: Path) -> bool:
    """Every SQLite file, and what is called so and no longer begins like one. Mosquitto's own `.db` is none."""
    if path.name.endswith(("-wal", "-shm")):  # SQLite's own, which come and go with the file they belong to
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE or (path.suffix == ".db" and path.parent.name != "mosquitto")


def _integrity(path: Path) -> str:
    try:
        with closing(sqlite3.connect(path)) as store:
            return str(store.execute("PRAGMA integrity_check").fetchone()[0])
    except sqlite3.Error as error:
        return f"cannot be opened: {error}"


def _ids(path: Path, table: str) -> set[str]:
    """Request ids of a table or view; none where there is no such table."""
    try:
        with closing(sqlite3.connect(path)) as store:
            return {str(row[0]) for row in store.execute(f"SELECT request_id FROM {table}")}  # noqa: S608  # our own two words
    except sqlite3.Error:
        return set()
