"""A private Mosquitto for demo, tests and benchmarks: loopback only, without passwords. A device's own broker is
rendered by `mosquitto_device`.
"""

import os
import socket
from pathlib import Path
from types import TracebackType

import msgspec

from roost_broker.errors import Misuse, PeerError
from roost_broker.mosquitto_keeping import Keeping, keeping_lines
from roost_broker.private_process import PrivateProcess, find_program, free_port, listens_on
from roost_broker.settings import BrokerSettings

_INSTALL = "Install it: apt-get install mosquitto (Debian, Raspberry Pi OS), then try again."


class MosquittoSettings(Keeping, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices that differ between private brokers. Everything else is fixed in `render`."""

    port: int = 1883
    folder: str = "/var/lib/mosquitto"
    """Where sessions and retained messages are saved. Must be writable by the broker's user."""
    user: str | None = None
    """User to become when started as root; None leaves Mosquitto's own default (`mosquitto`)."""

    def __post_init__(self) -> None:
        self.check()
        if not 1 <= self.port <= 65_535:
            raise Misuse(f"mosquitto.port is {self.port}.", "Use a value from 1 to 65535.")
        if "\n" in self.folder or not self.folder.startswith("/"):
            raise Misuse(f"mosquitto.folder is {self.folder!r}.", "Give an absolute path.")
        if self.user is not None and not self.user.replace("-", "").replace("_", "").isalnum():
            raise Misuse(f"mosquitto.user is {self.user!r}.", "Give the name of a user of this machine.")


def render(settings: MosquittoSettings) -> str:
    """The text of a mosquitto.conf (Mosquitto >= 2.0)."""
    user = ""
    if settings.user is not None:
        user = f"# A private broker started by root: the default user may not write here.\nuser {settings.user}\n"
    return f"""\
# Written by Roost (roost_broker.mosquitto); changes are overwritten.

# Only programs on this machine may connect, so nobody needs a password. Never open this listener to a network.
listener {settings.port} 127.0.0.1
allow_anonymous true
{user}
{keeping_lines(settings, settings.folder)}"""


def find_mosquitto(folders: str | None = None) -> str:
    """Path of the program, on PATH or in `folders` (separated by colons).

    Debian keeps it in /usr/sbin, which is not on an ordinary user's PATH. Raises `Misuse` when it is nowhere.
    """
    found = find_program("mosquitto", folders)
    if found is None:
        raise Misuse("The MQTT broker mosquitto is not installed.", _INSTALL)
    return found


class PrivateBroker:
    """A Mosquitto of our own on a free loopback port. Use it as a context manager, or start() and stop().

    The folder keeps configuration, log and saved sessions; a second start() on it continues with what was saved.
    It does not outlive its owner, even one killed with -9: it ends with the thread that called start() (Linux), so
    call that from a thread that lives as long as the broker shall (asyncio's default executor lives as its loop).
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: MosquittoSettings | None = None,
        start_timeout_s: float = 10,
    ) -> None:
        self.folder = folder.absolute()
        self._asked_port = port
        self._port = port
        self._settings = settings or MosquittoSettings()
        self._start_timeout_s = start_timeout_s
        self._process = PrivateProcess("The private broker", self.folder / "mosquitto.log")

    @property
    def port(self) -> int:
        """The port it listens on; chosen at the first start and kept for the next ones."""
        if self._port is None:
            raise Misuse("A private broker has no port before its first start.", "Call start() first.")
        return self._port

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.running

    @property
    def log_file(self) -> Path:
        """What Mosquitto said, of all starts."""
        return self._process.log_file

    def settings(self) -> BrokerSettings:
        """How to reach it."""
        return BrokerSettings(host="127.0.0.1", port=self.port)

    def start(self) -> None:
        """Start it and return when it accepts connections. Raises `Misuse` (not installed), `PeerError` (no start)."""
        self._process.check_free()
        program = find_mosquitto()
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(5):
            if self._port is None:
                self._port = free_port()
            if self._launch(program):
                return
            if self._asked_port is not None or attempt == 4:
                break
            self._port = None  # somebody took the port between our look and the broker's
        why = self._process.last_words()
        raise PeerError(f"Mosquitto did not start on port {self._port}: {why}", f"See {self.log_file}.")

    def stop(self, timeout_s: float = 5) -> None:
        """End it in order (it saves its sessions); killed when it takes longer than `timeout_s`."""
        self._process.stop(timeout_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self._process.kill()

    def __enter__(self) -> "PrivateBroker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, program: str) -> bool:
        settings = msgspec.structs.replace(
            self._settings,
            port=self.port,
            folder=str(self.folder),
            # Started as root it would become the user mosquitto, who may not write into our folder.
            user="root" if os.geteuid() == 0 else None,
        )
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(render(settings), encoding="utf-8")
        return self._process.start([program, "-c", str(configuration)], self._accepts, self._start_timeout_s)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
        except OSError:
            return False
        # A stranger may listen there: then our own process has ended, or is about to with "Address already in use".
        return self.running and listens_on(self.pid, self.port)
