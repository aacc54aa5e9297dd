"""What a role arranges with the operating system: it is the only one of its name, and dies with its supervisor."""

import ctypes
import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from roost_broker.errors import Misuse

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when process `parent`, which started it, ends; however it ends.

    SIGKILL, because a role that hangs would not heed SIGTERM, and nothing may outlive its supervisor: a second
    one would find its sessions taken. Where the kernel has no such service (not Linux) nothing is arranged.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


def leave(status: int) -> NoReturn:
    """End this process with `status`, even while a thread of ours is still inside a library.

    A camera or a model may hang for ever, so their threads are not waited for (`roost_broker.worker`). But Python's own
    ending takes the interpreter away from under them, and a thread that then comes back from C++ aborts the process
    (SIGABRT instead of the status; CPython issue 87135, mended in 3.14). What matters is closed and committed by now.
    """
    logging.shutdown()
    if all(thread is threading.current_thread() for thread in threading.enumerate()):
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def is_held(lock: Path) -> bool:
    """Whether a process holds this lock file."""
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(lock: Path) -> int | None:
    """Process id of who holds this lock file; None when nobody does."""
    try:
        return int(lock.read_bytes()) if is_held(lock) else None
    except (OSError, ValueError):  # it is being taken or let go
        return None


@contextmanager
def only_one(lock: Path, who: str = "This role") -> Iterator[None]:
    """Hold a lock file while in the body; the kernel lets go of it when the process ends, however it ends.

    Two processes of one role would take the MQTT session from each other for ever. Raises `Misuse`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Misuse(
                f"{who} is already running (process {holder}).",
                "Stop that one, or give this one its own data folder.",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
