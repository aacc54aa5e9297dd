"""Image files: opened as they come (.img, .img.xz, .img.zst, .img.gz), copied sparsely, and given their name last.

What is made is written beside its target, synced and renamed; a power cut leaves the old file or the new one.
"""

import gzip
import lzma
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from roost_broker.durable import make_folder, rename_durably, sync
from roost_broker.errors import Misuse
from roost_provisioning.image.card_tools import tool
from roost_provisioning.image.partition_table import UnreadableImage

CHUNK = 4 << 20
MAX_BYTES = 64 << 30  # the largest card an image is made for; a file that unpacks to more is no image
COMPRESSED = frozenset({".xz", ".zst", ".gz"})
_MAGIC = {b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"\x1f\x8b": ".gz"}


class Progress(Protocol):
    """Told how far the work is."""

    def progress(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` (None: nobody knows)."""
        ...


class Silent:
    """Nobody wants to know."""

    def progress(self, done: int, total: int | None) -> None:
        """See `Progress`."""


def compression_of(image: Path) -> str:
    """`.xz`, `.zst`, `.gz` or empty, by the file's first bytes: a name may be wrong."""
    if not image.exists():
        raise Misuse(f"there is no image {image}", "Check the path.")
    if image.is_dir():
        raise Misuse(f"{image} is a folder", "Give the image file.")
    with image.open("rb") as file:
        head = file.read(6)
    if head[:4] == b"PK\x03\x04":
        raise Misuse(f"{image.name} is a zip archive", "Unpack it first, and give the .img that is in it.")
    return next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), "")


def size_of(image: Path) -> int:
    """Bytes of an image file, or of a card in its reader."""
    if not stat.S_ISBLK(image.stat().st_mode):
        return image.stat().st_size
    with image.open("rb") as device:
        return device.seek(0, os.SEEK_END)


@contextmanager
def readable(image: Path, scratch: Path | None = None, progress: Progress | None = None) -> Iterator[Path]:
    """An image that tools can read at any place: itself, or unpacked for as long as this lasts, below `scratch`."""
    suffix = compression_of(image)
    if not suffix:
        yield image
        return
    if scratch is not None:
        make_folder(scratch)
    with tempfile.TemporaryDirectory(prefix="roost-image-", dir=scratch) as folder:
        unpacked = Path(folder, "card.img")
        unpack(image, unpacked, progress or Silent())
        yield unpacked


@contextmanager
def new_file(target: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A path beside `target` to make the file at. It gets its name when all went well, and is gone otherwise."""
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
        yield beside
        rename_durably(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def unpack(image: Path, target: Path, progress: Progress) -> None:
    """Write the image, unpacked if it is packed, to `target`; runs of zeros become holes. Raises on a damaged file."""
    suffix = compression_of(image)
    if not suffix:
        copy_sparse(image, target, progress)
        return
    total = size_of(image)
    try:
        with (
            image.open("rb") as packed,
            _unpacking(packed, suffix) as data,
            target.open("r+b" if target.exists() else "wb") as file,
        ):
            end = 0
            while chunk := data.read(CHUNK):
                _write_at(file, chunk, end)
                end += len(chunk)
                if end > MAX_BYTES:
                    raise UnreadableImage(
                        f"{image.name} unpacks to more than {MAX_BYTES >> 30} GiB", "This is not the image of a card."
                    )
                progress.progress(packed.tell() if suffix != ".zst" else end, total if suffix != ".zst" else None)
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError) as error:
        raise UnreadableImage(
            f"{image.name} cannot be unpacked: {error}", "The download is damaged or cut short: fetch it again."
        ) from error


def copy_sparse(source: Path, target: Path, progress: Progress) -> None:
    """Copy an image; holes stay holes, and a file system that can shares the blocks."""
    size = size_of(source)
    with source.open("rb") as old, target.open("r+b" if target.exists() else "wb") as new:
        new.truncate(size)
        at = 0
        while at < size:
            start, end = _data(old, at, size)
            at = start
            while at < end:
                done = _copy_range(old, new, at, min(CHUNK * 16, end - at))
                if not done:
                    raise UnreadableImage(f"{source} became shorter while it was copied", "Let it be finished first.")
                at += done
                progress.progress(at, size)
            at = end
        new.flush()
        os.fsync(new.fileno())


def _data(file: IO[bytes], at: int, size: int) -> tuple[int, int]:
    """Where the next data are; (size, size) where only a hole follows."""
    try:
        start = os.lseek(file.fileno(), at, os.SEEK_DATA)
        return start, os.lseek(file.fileno(), start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == 6:  # ENXIO: nothing but a hole up to the end
            return size, size
        return at, size  # a file system, or a card reader, that knows no holes


def _copy_range(old: IO[bytes], new: IO[bytes], at: int, length: int) -> int:
    try:
        return os.copy_file_range(old.fileno(), new.fileno(), length, at, at)
    except OSError:  # between some file systems, and from devices, the kernel does not copy
        return os.pwrite(new.fileno(), os.pread(old.fileno(), min(length, CHUNK), at), at)


def _write_at(file: IO[bytes], chunk: bytes, at: int) -> None:
    """Write what is not all zeros, in pieces of 64 KiB; the rest stays a hole."""
    step = 1 << 16
    for start in range(0, len(chunk), step):
        piece = chunk[start : start + step]
        if piece.count(0) != len(piece):
            os.pwrite(file.fileno(), piece, at + start)


@contextmanager
def _unpacking(packed: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    if suffix == ".xz":
        with lzma.open(packed) as data:
            yield data
        return
    if suffix == ".gz":
        with gzip.open(packed) as data:
            yield data  # type: ignore[misc]  # as above
        return
    # Python 3.14 is the first with zstd. The program itself takes no more than 128 MiB of memory unless it is asked to.
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen([tool("zstd"), "-dc"], stdin=packed, stdout=subprocess.PIPE, stderr=stderr)
        with process:
            assert process.stdout  # noqa: S101  # it is a pipe; for mypy
            yield process.stdout
        if process.returncode:
            stderr.seek(0)
            said = stderr.read(4096).decode("utf-8", "replace").strip()
            raise UnreadableImage(
                f"{packed.name} cannot be unpacked: {said}", "The download is damaged or cut short: fetch it again."
            )


def pack(image: Path, target: Path, progress: Progress, *, mode: int = 0o644) -> None:
    """Write the image to `target`, packed as the target's name says (.xz, .zst, .gz), or plain."""
    if target.suffix not in COMPRESSED:
        with new_file(target, mode=mode) as beside:
            copy_sparse(image, beside, progress)
        return
    argv = {".xz": ["xz", "-T0", "-1", "-c"], ".zst": ["zstd", "-q", "-T0", "-3", "-c"], ".gz": ["gzip", "-1", "-c"]}
    argv_here = argv[target.suffix]
    with new_file(target, mode=mode) as beside, beside.open("wb") as out, image.open("rb") as file:
        process = subprocess.Popen([tool(argv_here[0]), *argv_here[1:]], stdin=subprocess.PIPE, stdout=out)
        total, done = size_of(image), 0
        with process:
            assert process.stdin  # noqa: S101  # it is a pipe; for mypy
            while chunk := file.read(CHUNK):
                process.stdin.write(chunk)
                done += len(chunk)
                progress.progress(done, total)
            process.stdin.close()
        if process.returncode:
            raise Misuse(f"{argv_here[0]} could not pack {target.name}", "Is the disk full?")


def free_for(folder: Path, needed: int) -> None:
    """Say so before hours of work when the disk has no room. Raises `Misuse`."""
    make_folder(folder)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Misuse(
            f"{folder} has {free >> 20} MB free and {needed >> 20} MB are needed",
            "Choose another folder with --output.",
        )


def sync_device(image: Path) -> None:
    """What was written in place, to a file or a card, is there afterwards."""
    sync(image)
