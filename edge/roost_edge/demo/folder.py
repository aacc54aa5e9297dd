"""The demo's temporary folder. One that was killed with -9 cannot delete its own; the next demo does."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "roost-demo-"
_LOCK = "demo.lock"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is deleted after the body. Its lock is held meanwhile, so that no other demo takes it for left."""
    _delete_what_is_left(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        young = folder / f"{_LOCK}.new"
        with young.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            young.rename(folder / _LOCK)  # never seen without being held
            yield folder


def _delete_what_is_left(where: Path) -> None:
    """Our own user's folders whose lock nobody holds: the kernel let go of it when their demo ended."""
    for folder in where.glob(f"{_PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            with (folder / _LOCK).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # held, or none of ours
            continue
