"""A file system that can lose power: ext4 in a file, mounted through a loop device, shut down without its journal.

EXT4_IOC_SHUTDOWN with NOLOGFLUSH drops all that is not on the disk, as a cut does; needs root and loop devices.
"""

import fcntl
import os
import struct
import subprocess
from pathlib import Path

_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2


class CutDisk:
    """Mounted at `at`, kept in `image`."""

    def __init__(self, image: Path, at: Path) -> None:
        self.image, self.at = image, at
        image.write_bytes(b"")
        os.truncate(image, 48 << 20)
        at.mkdir(exist_ok=True)
        _run("mkfs.ext4", "-q", "-F", str(image))
        self.mount()

    def mount(self) -> None:
        # commit=1: what the kernel writes by itself within 5 s on a device, it writes within 1 s here.
        _run("mount", "-o", "loop,commit=1", str(self.image), str(self.at))

    def cut(self) -> None:
        """The power fails; it is back, and the file system is as a boot finds it."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(fd)
        self.unmount()
        checked = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, check=False)
        assert checked.returncode <= 1, checked.stdout
        self.mount()

    def unmount(self) -> None:
        _run("umount", str(self.at))


def why_not() -> str:
    """Why this machine cannot cut power; empty when it can."""
    if os.geteuid() != 0:
        return "Cutting power needs root (a loop mount of ext4): run this test as root."
    missing = [tool for tool in ("mkfs.ext4", "e2fsck", "mount", "losetup") if _which(tool) is None]
    if missing:
        return f"Cutting power needs {', '.join(missing)} (package e2fsprogs)."
    found = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return f"Cutting power needs a loop device: {found.stderr.strip()}"
    return ""


def _which(tool: str) -> str | None:
    import shutil

    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
