"""Processes of a benchmark: started, waited for, measured, ended."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def role_process(role: str, port: int, folder: Path) -> Iterator[int]:
    """One role of `bench_roles`; its process id once it is connected. Raises RuntimeError when it does not connect."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "bench_roles.py"), role, str(port), str(folder)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 20)
        if not ready or not process.stdout.readline():
            raise RuntimeError(f"The process {role} did not connect.")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, in its own code and in the kernel for it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def alive(pid: int) -> bool:
    """Whether a child of ours still runs."""
    done, _ = os.waitpid(pid, os.WNOHANG)
    return done == 0
