"""Another's program as a process of ours, in the background: a broker or a server for demo, tests and one machine."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from roost_broker.errors import Misuse

_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/sbin"


class PrivateProcess:
    """One process at a time, with its words in `log_file`. `what` begins sentences: `The private broker`.

    It does not outlive its owner, even one killed with -9: it ends with the thread that called start() (Linux).
    """

    def __init__(self, what: str, log_file: Path) -> None:
        self.log_file = log_file
        self._what = what
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started last, until it is ended here. Raises `Misuse` without one."""
        if self._process is None:
            raise Misuse(f"{self._what} is not running.", "Call start() first.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def check_free(self) -> None:
        """Raises `Misuse` while it runs."""
        if self.running:
            raise Misuse(f"{self._what} is running already.", "Call stop() before starting it again.")

    def start(self, command: Sequence[str], ready: Callable[[], bool], timeout_s: float) -> bool:
        """Start it; True when it is `ready`. Ended again when it is not within `timeout_s`, or when it ends before."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*dying_with_parent(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C on a terminal is for its owner, who stops it last
            )
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.running:
            if ready():
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def stop(self, timeout_s: float) -> None:
        """End it in order (SIGTERM); killed when it takes longer than `timeout_s`."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL, 5)

    def last_words(self) -> str:
        """The last lines of its log, as one."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it said nothing."
        return " / ".join(lines[-3:]) or "it said nothing."

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find_program(name: str, folders: str | None = None) -> str | None:
    """Path of a program, on PATH and where Debian keeps servers, or in `folders` (separated by colons)."""
    where = folders if folders is not None else f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}"
    return shutil.which(name, path=where)


def dying_with_parent() -> list[str]:
    """What to put before a command so that the kernel kills it when the thread that started it ends, however it ends.

    `setpriv` of util-linux arranges it and then becomes the command: same process id, no code of ours between fork
    and exec. Empty where there is none (busybox has a `setpriv` without this): then nothing is arranged.
    """
    found = shutil.which("setpriv")
    if found is None or "busybox" in Path(found).resolve().name:
        return []
    return [found, "--pdeathsig", "KILL", "--"]


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens_on(pid: int, port: int) -> bool:
    """Whether the process `pid` has a listening socket on `port` (Linux); elsewhere taken on trust.

    IPv6 too: that is how some programs listen on all addresses, IPv4's as well.

    A process opens and closes files while we look, and may end: a handle that has vanished is none of a listener.
    """
    process = Path(f"/proc/{pid}")
    if not Path("/proc/self/net/tcp").exists():
        return True
    try:
        tables = [table for name in ("tcp", "tcp6") if (table := process / "net" / name).exists()]
        rows = [line.split() for table in tables for line in table.read_text(encoding="ascii").splitlines()[1:]]
        handles = list((process / "fd").iterdir())
    except OSError:
        return False
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port}
    for handle in handles:
        try:
            if str(handle.readlink()) in inodes:
                return True
        except OSError:
            continue
    return False
