"""One emulated device: switched on, watched over its serial line, switched off in order or by pulling the plug.

Nothing outlives its owner: the emulator ends with the thread that started it, however that ends.
"""

import contextlib
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self, TypeVar

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse, PeerError
from roost_broker.private_process import PrivateProcess, find_program
from roost_provisioning.boot_test.boot_files import BootFiles, command_line
from roost_provisioning.boot_test.card_image import CardImage
from roost_provisioning.boot_test.console import Console
from roost_provisioning.boot_test.machine import PROGRAM, Card, Machine, arguments, kernel_words

T = TypeVar("T")
Find = Callable[[], T | None]

_LOOK_S: Final = 0.2
_TELL_S: Final = 20.0
_BEGINS_S: Final = 60
_SHOWN: Final = 25
_ANSWER_S: Final = 10


class Emulator:
    """Construct, then `switch_on`. Logs and what was taken from the boot partition lie in `folder`."""

    def __init__(
        self,
        machine: Machine,
        image: CardImage,
        files: BootFiles,
        folder: Path,
        markers: Iterable[str] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.words = kernel_words(command_line(image.read(files.cmdline).decode("utf-8")), machine.kind)
        self._machine = machine
        self._image = image
        self._files = files
        self._folder = folder
        self._markers = tuple(markers)
        self._say = say
        self._process = PrivateProcess("The emulator", folder / "emulator.log")
        self._short = tempfile.TemporaryDirectory(prefix="roost-")  # a socket's path has 107 bytes at most
        self._orders = Path(self._short.name) / "orders"
        self._boots = 0
        self._started = 0
        self._read: dict[Path, int] = {}
        self.console = Console(self._markers)

    @property
    def running(self) -> bool:
        """Whether the power is on."""
        return self._process.running

    @property
    def pid(self) -> int:
        """The emulator's process."""
        return self._process.pid

    @property
    def uptime_s(self) -> float:
        """Since the power was switched on."""
        return (time.monotonic_ns() - self._started) / SECOND

    def switch_on(self) -> None:
        """Load what the card names, as the firmware would, and begin. Raises `PeerError` when the emulator does not."""
        if find_program(PROGRAM) is None:
            raise Misuse(f"There is no {PROGRAM}.", "apt-get install qemu-system-arm")
        self._boots += 1
        self.console = Console(self._markers)
        consoles = self._console_files()
        self._read = dict.fromkeys(consoles, 0)
        self._orders.unlink(missing_ok=True)
        command = arguments(self._machine, self._load(), self.words, consoles, self._orders)
        self._started = time.monotonic_ns()
        if not self._process.start(command, self._orders.exists, _BEGINS_S):
            raise PeerError(f"The emulator did not begin: {self._process.last_words()}")

    def until(self, found: Find[T], what: str, timeout_s: float) -> T:
        """Look again and again until `found` gives something. Raises `PeerError` when it does not."""
        end = time.monotonic() + timeout_s
        tell = time.monotonic() + _TELL_S
        while (value := found()) is None:
            self.read_console()
            if time.monotonic() > tell:
                tell += _TELL_S
                self._say(f"  … {self.uptime_s:.0f} s: {self.console.last_words()}")
            if self.console.fatal:
                raise PeerError(f"{self.console.fatal} Waited for {what}.\n{self.last_lines()}")
            if not self.running:
                raise PeerError(f"The device switched itself off. Waited for {what}.\n{self.last_lines()}")
            if time.monotonic() > end:
                raise PeerError(f"Waited {timeout_s:.0f} s in vain for {what}.\n{self.last_lines()}")
            time.sleep(_LOOK_S)
        return value

    def until_said(self, marker: str, timeout_s: float) -> float:
        """Wait for a line with this marker; seconds after switching on at which it came."""
        return self.until(lambda: self.console.first(marker), f"“{marker}” on the console", timeout_s).at_ns / SECOND

    def read_console(self) -> None:
        """Take over what the guest has written since."""
        now = time.monotonic_ns() - self._started
        for path, begin in self._read.items():
            with path.open("rb") as file:
                file.seek(begin)
                data = file.read()
            self._read[path] = begin + len(data)
            self.console.feed(data, now)

    def last_lines(self) -> str:
        """The end of the console, for a report."""
        lines = self.console.last(_SHOWN)
        if not lines:
            return f"The console is empty. The emulator said: {self._process.last_words()}"
        return "\n".join(["The console's last lines:", *(f"  {line}" for line in lines)])

    def __enter__(self) -> Self:
        """For the length of one story; afterwards nothing runs any more."""
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._short.cleanup()

    def pull_the_plug(self) -> None:
        """Everything that was not on the card is gone."""
        self.read_console()
        self._process.kill()

    def switch_off(self, timeout_s: float) -> bool:
        """Press the power button and wait; whether the device went in order. After `timeout_s` the plug is pulled."""
        if not self.running:
            return True
        _order(self._orders, "system_powerdown")
        end = time.monotonic() + timeout_s
        while self.running and time.monotonic() < end:
            self.read_console()
            time.sleep(_LOOK_S)
        in_order = not self.running
        self.pull_the_plug()
        return in_order

    def _console_files(self) -> tuple[Path, Path]:
        first, second = (self._folder / f"console-{self._boots}{letter}.log" for letter in ("", "b"))
        for path in (first, second):
            path.write_bytes(b"")  # what an earlier story left there is none of ours
        return first, second

    def _load(self) -> Card:
        """What the firmware would put into memory, copied out of the card as it is now."""

        def taken(name: str, kind: str) -> Path | None:
            if not name:
                return None
            (self._folder / kind).write_bytes(self._image.read(name))
            return self._folder / kind

        kernel = taken(self._files.kernel, "kernel")
        if kernel is None:
            raise PeerError("config.txt names no kernel.")
        return Card(
            self._image.path,
            kernel,
            taken(self._files.initramfs, "initramfs"),
            taken(self._files.device_tree, "device-tree.dtb"),
        )


def _order(orders: Path, command: str) -> None:
    """One order to the emulator itself (QMP). One that cannot be given is as good as one not obeyed."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_ANSWER_S)
        line.connect(str(orders))
        with line.makefile("rwb") as talk:
            talk.readline()
            for order in ("qmp_capabilities", command):
                talk.write(json.dumps({"execute": order}).encode() + b"\n")
                talk.flush()
                talk.readline()
