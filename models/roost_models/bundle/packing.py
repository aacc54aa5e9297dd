"""One file for one bundle: `.roost`, a zip whose bytes depend on nothing but the bundle.

Written: names in order, a fixed time, stored without compression (compressors differ between machines, weights hardly
shrink). Read: stored plain files with bundle names only; so nothing can escape the folder, be a link, or unpack to
more than it weighs. Unpacking goes beside the target and appears whole, by one rename; one process of a cache unpacks
at a time, and clears away what one that was killed has left.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle, open_folder
from roost_models.bundle.manifest import (
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    MAX_TOTAL_BYTES,
    Manifest,
    check_path,
    digest_of,
    parse,
)

SUFFIX = ".roost"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say
_COPY_AGAIN = "Fetch or pack the bundle again."
_UNPACKING = ".unpack-"
_ZIP_END, _ZIP64_LOCATOR = 22, 20
_MAX_INDEX_BYTES = 512 * (MAX_FILES + 1)  # an entry is 46 bytes and a name of at most 200
# What zipfile raises at damaged or hostile archives.
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError, zlib.error)


def default_cache() -> Path:
    """Where packed bundles are unpacked: systemd's cache folder, else the user's."""
    service = os.environ.get("CACHE_DIRECTORY")
    if service:
        return Path(service.split(":")[0]) / "bundles"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roost" / "bundles"


def pack(bundle: Bundle, target: Path) -> Path:
    """Write a verified bundle as one file; the same bundle gives the same bytes everywhere. Returns `target`."""
    if target.suffix != SUFFIX:
        raise Misuse(f"A packed bundle's name ends in {SUFFIX}, not as {target.name!r}.", f"Call it NAME{SUFFIX}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(MANIFEST), (bundle.root / MANIFEST).read_bytes())
            for path in sorted(bundle.manifest.files):
                archive.writestr(_entry(path), bundle.read(path))
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def open_packed(path: Path, cache: Path | None = None) -> Bundle:
    """Unpack (once) and open a `.roost` file. Raises `Malformed` with the reason."""
    try:
        with path.open("rb") as file:
            _check_index(file)
            with zipfile.ZipFile(file) as archive:
                return _open(archive, cache or default_cache())
    except _ZIP_ERRORS as error:
        raise Malformed(f"{path.name} is not a packed bundle: {error}.", _COPY_AGAIN) from error


def _check_index(file: BinaryIO) -> None:
    """Refuse an index too large for a bundle, before zipfile reads it into memory as a whole.

    Ours stands at the end, without comment and without zip64 (APPNOTE.TXT 4.3.15, 4.3.16).
    """
    file.seek(max(0, file.seek(0, os.SEEK_END) - _ZIP64_LOCATOR - _ZIP_END))
    tail = file.read()
    end = tail[-_ZIP_END:]
    if not end.startswith(b"PK\5\6") or tail.startswith(b"PK\6\7"):
        raise zipfile.BadZipFile("no plain zip index at its end")
    size = int.from_bytes(end[12:16], "little")
    if size > _MAX_INDEX_BYTES:
        raise Malformed(f"An index of {size} bytes is over the limit of {_MAX_INDEX_BYTES}.", _COPY_AGAIN)


def _open(archive: zipfile.ZipFile, cache: Path) -> Bundle:
    entries = _checked_entries(archive)
    data = archive.read(entries[MANIFEST])
    manifest, digest = parse(data), digest_of(data)
    _compare(entries, manifest)
    folder = cache / digest
    if (bundle := _unpacked(folder, digest)) is not None:
        return bundle
    cache.mkdir(parents=True, exist_ok=True)
    with _alone_in(cache):
        if (bundle := _unpacked(folder, digest)) is None:  # still: another process may just have done it
            bundle = _unpack(archive, entries, folder)
    return bundle


def _unpacked(folder: Path, digest: str) -> Bundle | None:
    """The bundle in the cache; None when it was never unpacked, or was damaged since."""
    try:
        bundle = open_folder(folder)
    except (Malformed, Misuse, OSError):  # the last: another process is just replacing a damaged one
        return None
    return bundle if bundle.digest == digest else None


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Hold a lock on the cache's folder, which the kernel takes back from a process that is killed."""
    handle = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in cache.glob(f"{_UNPACKING}*"):  # by somebody who held the lock and is no more
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _checked_entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Entries by name, after every check that needs no content."""
    infos = archive.infolist()
    if len(infos) > MAX_FILES + 1:
        raise Malformed(f"{len(infos)} files are over the limit of {MAX_FILES}.")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.filename != MANIFEST:
            check_path(info.filename)
        if info.filename in entries:
            raise Malformed(f"File {info.filename!r} is there twice.", _COPY_AGAIN)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or info.compress_size != info.file_size:
            raise Malformed(f"File {info.filename!r} is compressed or encrypted.", "Pack with `roost bundle pack`.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Malformed(f"File {info.filename!r} is not a plain file.", "Pack with `roost bundle pack`.")
        if info.file_size > (MAX_MANIFEST_BYTES if info.filename == MANIFEST else MAX_FILE_BYTES):
            raise Malformed(f"File {info.filename!r} of {info.file_size} bytes is over the limit.")
        entries[info.filename] = info
    if MANIFEST not in entries:
        raise Malformed(f"It holds no {MANIFEST}.", "Pack with `roost bundle pack`.")
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES + MAX_MANIFEST_BYTES:
        raise Malformed(f"{total} bytes in all are over the limit of {MAX_TOTAL_BYTES}.")
    return entries


def _compare(entries: dict[str, zipfile.ZipInfo], manifest: Manifest) -> None:
    missing = sorted(set(manifest.files) - set(entries))
    if missing:
        raise Malformed(f"File {missing[0]!r} of the manifest is missing.", _COPY_AGAIN)
    extra = sorted(set(entries) - set(manifest.files) - {MANIFEST})
    if extra:
        raise Malformed(f"File {extra[0]!r} is not in the manifest.", _COPY_AGAIN)
    for path, entry in manifest.files.items():
        if entries[path].file_size != entry.bytes:
            raise Malformed(
                f"File {path!r} has {entries[path].file_size} bytes, not the {entry.bytes} of the manifest.",
                _COPY_AGAIN,
            )


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: Path) -> Bundle:
    """Write beside, verify, rename."""
    beside = Path(tempfile.mkdtemp(prefix=_UNPACKING, dir=folder.parent))
    try:
        for name, info in entries.items():
            target = beside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        open_folder(beside)
        if folder.exists():  # damaged
            shutil.rmtree(folder)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_folder(folder)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.create_system = 3  # Unix, whatever this machine is
    return info
