"""A medium of its own, as small as cards never are, to be filled."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_medium(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mounted on the new `folder`; where that cannot be, the test is skipped and says why."""
    if os.geteuid() != 0:
        pytest.skip("Only root can mount a small tmpfs to fill.")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"A tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
