"""Who is examined: the settings, the machine's files below `root`, its programs, its clock; and the one look at the
broker that several checks share.
"""

import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from roost_broker.clock import Clock, SystemClock
from roost_broker.errors import PeerError, RoostError
from roost_edge.doctor.broker_look import Look, look
from roost_edge.settings.device import Settings

_PROGRAM_S = 5.0


class Unseen(PeerError):
    """A check wants to know what the roles said, and the broker does not answer: that is another check's finding."""


def there(path: Path) -> bool:
    """Whether there is something. Raises `PermissionError` where nobody lets us know: that is no "no"."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


class Patient:
    """Threads share it. `root` is where `/proc`, `/sys`, `/run` and `/dev` are looked for, `programs` a PATH.

    `looked` is what was seen at the broker, if that was done before.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        file: Path | None = None,
        user: str = "operator",
        root: Path = Path("/"),
        programs: str | None = None,
        clock: Clock | None = None,
        looked: Look | None = None,
        patience: float = 1.0,
    ) -> None:
        self.settings = settings
        self.file = file
        self.user = user
        """By which name the doctor comes to the broker."""
        self.clock = clock or SystemClock()
        self.patience = patience
        """All limits are multiplied by it: a slow device is no broken one."""
        self._root = root
        self._programs = programs
        self._lock = threading.Lock()
        self._look: Look | RoostError | None = looked

    def path(self, absolute: str) -> Path:
        """A file of the machine, such as `/proc/meminfo`."""
        return self._root / absolute.lstrip("/")

    def text(self, absolute: str) -> str | None:
        """What stands in a file of the machine; None where there is none, or it cannot be read."""
        try:
            return self.path(absolute).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return None

    def say(self, command: Sequence[str], *, timeout_s: float = _PROGRAM_S) -> str | None:
        """What a program of the machine prints, whatever its status; None where it is missing or hangs."""
        limit_s = timeout_s * self.patience
        program = shutil.which(command[0], path=self._programs)
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, timeout=limit_s, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace")

    @property
    def board(self) -> str:
        """What the board calls itself; empty on machines that have no such file."""
        return self.text("/proc/device-tree/model") or ""

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return "Raspberry Pi" in self.board

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs the machine."""
        return self.path("/run/systemd/system").is_dir()

    def seen(self) -> Look:
        """What the broker holds. Raises `Unseen` when it does not answer."""
        try:
            return self.look()
        except RoostError as error:
            raise Unseen("The broker does not answer.", "See what the check `broker` says.") from error

    def look(self) -> Look:
        """What the broker holds. Asked once, by whoever comes first. Raises `RoostError` when it does not answer."""
        with self._lock:
            if self._look is None:
                try:
                    self._look = look(self.settings, self.user, self.clock, self.patience)
                except RoostError as error:
                    self._look = error
            if isinstance(self._look, RoostError):
                raise self._look
            return self._look
