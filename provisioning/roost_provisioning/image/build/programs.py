"""The programs a build runs: asked for before the first minute is spent, and quoted when they fail."""

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse, RoostError

# Program to Debian package. Debian keeps some where only root's PATH looks.
PACKAGES: Final = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "tar": "tar",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "sfdisk": "fdisk",
    "bmaptool": "bmap-tools",
    "zstd": "zstd",
    "xz": "xz-utils",
    "unshare": "util-linux",
    "newuidmap": "uidmap",
}
_SYSTEM_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_QUOTED: Final = 12
_CAUSES: Final = (
    ("no space left on device", "Make room on that disk, or name another folder with --cache."),
    ("could not resolve", "The mirror cannot be reached: look at the network, or name another with --mirror."),
    (
        "temporary failure resolving",
        "The mirror cannot be reached: look at the network, or name another with --mirror.",
    ),
    ("unable to connect", "The mirror cannot be reached: look at the network, or name another with --mirror."),
    ("connection refused", "The mirror cannot be reached: look at the network, or name another with --mirror."),
    ("does not have a release file", "The mirror has no such release: look at --mirror and --release."),
    ("404", "The mirror is being updated, or has no such release: try again, or name another with --mirror."),
    ("exec format error", "Programs for arm64 do not run here: apt install qemu-user-static binfmt-support."),
)


class ProgramFailed(RoostError):
    """A program of the build ended badly. Its last lines are in the problem."""


def environment() -> dict[str, str]:
    """For every program: the system's folders on PATH, one language, no time zone of this machine."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}:{_SYSTEM_FOLDERS}", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def missing(names: Iterable[str]) -> list[str]:
    """Which of these programs this machine lacks."""
    path = environment()["PATH"]
    return [name for name in names if shutil.which(name, path=path) is None]


def require(names: Iterable[str]) -> None:
    """Raises Misuse, with the line that installs them, when programs are missing."""
    absent = missing(names)
    if absent:
        packages = " ".join(sorted({PACKAGES[name] for name in absent}))
        raise Misuse(f"Programs are missing: {', '.join(absent)}.", f"apt install {packages}")


def run(
    argv: Sequence[str],
    *,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a program to its end; what it says goes to `log` and, line by line, to `on_line`.

    Raises ProgramFailed with its last lines, the likely cause, and where all of it is.
    """
    last: deque[str] = deque(maxlen=_QUOTED)
    file = log.open("a", encoding="utf-8") if log else None
    try:
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**environment(), **(env or {})},
            cwd=cwd,
        ) as process:
            assert process.stdout is not None  # noqa: S101  # a pipe was asked for; this is for mypy
            try:
                for line in process.stdout:
                    last.append(line.rstrip())
                    if file:
                        file.write(line)
                    if on_line:
                        on_line(line.rstrip())
            except BaseException:
                process.terminate()  # it cleans up after itself; Popen's exit waits for it
                raise
        if process.returncode:
            raise failure(Path(argv[0]).name, process.returncode, list(last), log)
    finally:
        if file:
            file.close()


def failure(program: str, status: int, last: Sequence[str], log: Path | None = None) -> ProgramFailed:
    """The error for a program that ended with this status after these lines."""
    said = "\n".join(last)
    remedy = next((remedy for sign, remedy in _CAUSES if sign in said.lower()), "The lines above say what to mend.")
    where = f" All of it is in {log}." if log else ""
    return ProgramFailed(f"{program} failed (status {status}):\n{said}", remedy + where)
