"""One file of a bundle onto the disk: resumed where it was left, paced, believed only after its digest was checked."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from roost_models.bundle.manifest import FileEntry
from roost_models.registry.errors import NoRoom, RegistryRefused, RegistryUnreachable, Stopped
from roost_models.registry.layout import file_path
from roost_models.registry.sources import CannotResume, NotThere, Source
from roost_models.registry.store import BundleStore, sha256_of

_SYNC_EVERY = 4_000_000
"""Bytes after which what was downloaded is synced: so much is fetched again after a power cut."""
Wait = Callable[[float], object]


class Progress(Struct, frozen=True, kw_only=True):
    """How far a fetch is. Bytes of what had to be downloaded, not of what was here already."""

    file: str
    """SHA-256 of the file that is being downloaded; empty before the first and after the last."""
    done: int
    total: int
    resumed: int = 0
    """Of `done`, what an earlier run had left."""
    held: int = 0
    """Bytes of the bundle that need not travel: they were here."""


class Pace:
    """Holds a download to `bytes_per_s` on average; None: as fast as it comes."""

    def __init__(self, bytes_per_s: int | None, wait: Wait = time.sleep) -> None:
        self._rate = bytes_per_s
        self._wait = wait
        self._began = time.monotonic()
        self._given = 0

    def took(self, count: int) -> None:
        """So many bytes came: wait until they are due."""
        if self._rate is None:
            return
        self._given += count
        early = self._given / self._rate - (time.monotonic() - self._began)
        if early > 0:
            self._wait(early)


class FileDownload:
    """Downloads the files of one bundle, one after the other."""

    def __init__(
        self,
        source: Source,
        store: BundleStore,
        *,
        pace: Pace,
        stop: Callable[[], bool],
        told: Callable[[str, int, int], None],
    ) -> None:
        """`told(sha256, bytes, resumed)` hears how much of the file is there."""
        self._source = source
        self._store = store
        self._pace = pace
        self._stop = stop
        self._told = told

    def fetch(self, entry: FileEntry) -> Path:
        """The file, verified and kept. Raises `RegistryRefused`, `RegistryUnreachable`, `Stopped`, `NoRoom`."""
        part = self._store.part(entry.sha256)
        had = part.stat().st_size if part.exists() else 0
        if had > entry.bytes:
            part.unlink()
            had = 0
        self._told(entry.sha256, had, had)
        if had == 0 or not self._completed(part, entry, had):
            self._completed(part, entry, 0)
        if sha256_of(part) != entry.sha256 and had:  # the remains of an earlier run were not what they should be
            self._completed(part, entry, 0)
        if sha256_of(part) != entry.sha256:
            part.unlink()
            raise RegistryRefused(
                "altered",
                f"File {entry.sha256[:12]}… has another content than the bundle's manifest says.",
                "Copy that file to the mirror again.",
            )
        return self._store.keep(entry.sha256, part)

    def _completed(self, part: Path, entry: FileEntry, offset: int) -> bool:
        """Add what is missing from `offset` on; False when the source cannot begin there."""
        path = file_path(entry.sha256)
        if offset == entry.bytes and offset > 0:
            return True
        try:
            pieces = self._source.read(path, most=entry.bytes - offset, offset=offset)
            first = next(pieces, b"")
        except CannotResume:
            return False
        except NotThere as error:
            raise RegistryUnreachable(
                f"The registry does not have file {entry.sha256[:12]}… of the bundle.", "Copy the registry again."
            ) from error
        with part.open("ab" if offset else "wb") as file:
            try:
                self._write(file.fileno(), first, pieces, entry, offset)
            finally:
                pieces.close()  # and with it the connection
        if part.stat().st_size < entry.bytes:
            raise RegistryUnreachable(
                f"File {entry.sha256[:12]}… ended after {part.stat().st_size} of {entry.bytes} bytes.",
                "It goes on from there the next time.",
            )
        return True

    def _write(self, fd: int, first: bytes, pieces: Iterator[bytes], entry: FileEntry, offset: int) -> None:
        done = synced = offset
        for piece in _chain(first, pieces):
            if self._stop():
                raise Stopped(f"Stopped after {done} of {entry.bytes} bytes.", "It goes on from there the next time.")
            left = memoryview(piece)
            while left:
                left = left[_written(fd, left) :]
            done += len(piece)
            if done - synced >= _SYNC_EVERY:
                os.fdatasync(fd)
                synced = done
            self._told(entry.sha256, done, offset)
            self._pace.took(len(piece))


def _written(fd: int, data: memoryview) -> int:
    try:
        return os.write(fd, data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom("The disk is full.", "Free some space; the download goes on from there.") from error
        raise


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
