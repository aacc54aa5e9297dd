"""Runs the tools that read and write file systems without mounting them; bounded in time and in what they may say."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

from roost_broker.errors import Misuse
from roost_provisioning.image.partition_table import UnreadableImage

WAIT_S = 600.0
MAX_OUTPUT = 32 << 20
_PACKAGES = {"debugfs": "e2fsprogs", "zstd": "zstd", "openssl": "openssl"}
# Debian keeps debugfs where only root's PATH looks.
_FURTHER = ("/usr/sbin", "/sbin")


def tool(name: str) -> str:
    """The path of a program, or `Misuse` with the package that brings it."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_FURTHER))
    if path is None:
        package = _PACKAGES.get(name, "mtools")
        raise Misuse(f"the program {name} is needed and not installed", f"Install it: apt install {package}")
    return path


def output_of(
    argv: Sequence[str],
    *,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    limit: int = MAX_OUTPUT,
    wait_s: float = WAIT_S,
) -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of a program that is fed `given`.

    Raises `UnreadableImage` when it says more than `limit` bytes or takes longer than `wait_s`: with these tools it is
    the image's content that makes them do so.
    """
    # Files for what goes in and for complaints: with three pipes a full one would stop the program.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(given)
        stdin.seek(0)
        process = subprocess.Popen(
            [tool(argv[0]), *argv[1:]],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", **(env or {})},
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(wait_s, end)
        timer.start()
        try:
            with process:
                said = process.stdout.read(limit + 1) if process.stdout else b""
                if len(said) > limit:
                    process.kill()
        finally:
            timer.cancel()
        if late.is_set():
            raise UnreadableImage(f"{argv[0]} did not come to an end within {wait_s:.0f} s", _WHAT_NOW)
        if len(said) > limit:
            raise UnreadableImage(f"{argv[0]} finds more than {limit} bytes where fewer were expected", _WHAT_NOW)
        stderr.seek(0)
        complaint = stderr.read(1 << 16).decode("utf-8", "replace").strip()
    return process.returncode, said, complaint


_WHAT_NOW = "The image is damaged, or not what it seems: download or copy it again, and compare its SHA-256."
