"""Files that survive a power cut: old or new, never torn.

A file is written beside, synced, renamed, and its folder is synced; ext4 does neither sync by itself for a fresh
file. A new folder's name is synced too: it is only as durable as its entry in the folder above it.
"""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """What is at this path, a file's content or a folder's entries, is on the disk afterwards."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(target: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that after a power cut the old or the new content is there, never a mixture.

    `mode` as for `os.open`: with 0o600 nobody else can read it, not for a moment. Makes the folders it needs.
    """
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk the remains would make it worse
        raise
    sync(target.parent)


def rename_durably(source: Path, target: Path) -> None:
    """Give a complete file, or a folder with all that is in it, its name. A file replaces what had the name."""
    if source.is_dir():
        for folder, _, names in os.walk(source, topdown=False):
            for name in names:
                sync(Path(folder, name))
            sync(Path(folder))
    else:
        sync(source)
    source.replace(target)
    sync(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably; nothing where it is."""
    if folder.is_dir():
        return
    fresh = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in fresh:
        sync(one.parent)
