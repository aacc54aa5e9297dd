"""Where a build keeps things: the cache, and working folders that do not outlive it.

images/base-RELEASE-DIGEST.tar    base root file systems (minutes each)
images/wheels-RELEASE-DIGEST/     wheels for the device's Python
images/work-…                     one build's working folder; gone with it, or cleared by the next build
images/logs/                      what mmdebstrap said
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roost_broker.errors import Misuse

LEAST_FREE: int = 5_000_000_000
"""Bytes a build needs at its peak: the packages, the tree, the image."""


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/roost`, or where that is by default."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roost"


class Places:
    """The folders below one cache."""

    def __init__(self, cache: Path) -> None:
        self.images = cache.absolute() / "images"
        self.logs = self.images / "logs"
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misuse(f"{self.images} cannot be made: {error.strerror}.", "Name a folder: --cache.") from error

    def check_room(self) -> None:
        """Raises Misuse when the disk has less room than a build needs."""
        free = shutil.disk_usage(self.images).free
        if free < LEAST_FREE:
            raise Misuse(
                f"{self.images} has {free / 1e9:.1f} GB free; a build needs {LEAST_FREE / 1e9:.0f} GB.",
                "Make room, or name a folder on another disk: --cache.",
            )

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A folder for this build alone. Those of builds that were killed are cleared first.

        It is locked while it is in use, so that nobody clears the folder of a build that runs.
        """
        for stale in self.images.glob("work-*"):
            with _lock(stale, wait=False) as free:
                if free:
                    remove_tree(stale)
        folder = Path(tempfile.mkdtemp(prefix="work-", dir=self.images))
        folder.chmod(0o755)  # mmdebstrap's download user looks into it
        with _lock(folder, wait=True):
            try:
                yield folder
            finally:
                remove_tree(folder)

    @contextmanager
    def only_one(self, name: str) -> Iterator[None]:
        """Meanwhile nobody else makes the thing of this name; waits for whoever does."""
        path = self.images / f".{name}.lock"
        path.touch()
        with _lock(path, wait=True):
            yield


@contextmanager
def _lock(path: Path, *, wait: bool) -> Iterator[bool]:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # another build cleared it meanwhile
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Mount points at or below a folder, the innermost first, from the text of /proc/self/mountinfo. Pure."""
    points = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines() if len(line.split()) > 4]
    prefix = str(folder)
    return sorted((one for one in points if one == prefix or one.startswith(f"{prefix}/")), key=len, reverse=True)


def remove_tree(folder: Path) -> None:
    """Remove a tree that a killed mmdebstrap may have left with mounts of device nodes in it."""
    for point in mounts_below(folder.resolve(), Path("/proc/self/mountinfo").read_text()):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    if not mounts_below(folder.resolve(), Path("/proc/self/mountinfo").read_text()):
        shutil.rmtree(folder, ignore_errors=True)
