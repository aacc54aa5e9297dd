"""Talking to systemd as the role that runs here: ready, how it stands, still at work, about to end.

systemd names a datagram socket in $NOTIFY_SOCKET and, where it watches, a time in $WATCHDOG_USEC (sd_notify(3)). No
library is needed for that. Under anything else there is no such socket, and nothing is said.

The watchdog is pinged from the event loop and only while the role's own judgement allows it (`Watched`): a loop that
hangs, and a camera whose thread has not come back in time, are both silent, and systemd ends and restarts the process.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

_log = logging.getLogger(__name__)
_PINGS_A_LIMIT = 3
"""So many pings in the time that systemd waits for one: two may be late on a busy machine."""
_LONGEST_STATUS = 400


@runtime_checkable
class Watched(Protocol):
    """A role that knows better than its event loop whether it works."""

    def stuck(self) -> str:
        """Why it does not, in a sentence; empty while it works."""
        ...


class ServiceManager:
    """What a process says to whoever started it as a service. Harmless where nobody did."""

    def __init__(self, environment: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        found = os.environ if environment is None else environment
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(found, os.getpid() if pid is None else pid)
        """Silent for so long, this process is killed; 0: nobody watches."""
        self._ready = False
        self._status = ""
        self._stuck = ""

    @property
    def listens(self) -> bool:
        """Whether this process is a service of systemd."""
        return self._address is not None

    def told(self, state: str, detail: str) -> None:
        """The role has said of itself how it stands; the first `ready` is systemd's, too."""
        self.status(f"{state}: {detail}" if detail else state)
        if state == "ready" and not self._ready:
            self._ready = True
            self._send("READY=1")

    def nothing_to_do(self, why: str) -> None:
        """For a process that ends at once and in order: it was started, and that is all."""
        self._send(f"READY=1\nSTATUS={_line(why)}")

    def status(self, text: str) -> None:
        """The sentence that `systemctl status` shows."""
        line = _line(text)
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def stopping(self) -> None:
        """The role has begun to end."""
        self._send("STOPPING=1")

    async def ping(self, stuck: Callable[[], str]) -> None:
        """Say "still at work" for ever, as long as `stuck` is empty. Returns at once where nobody watches."""
        while self.watchdog_s and self.listens:
            self.ping_once(stuck())
            await asyncio.sleep(self.pings_every_s)

    @property
    def pings_every_s(self) -> float:
        """0: nobody watches."""
        return self.watchdog_s / _PINGS_A_LIMIT if self.listens else 0.0

    def ping_once(self, why: str) -> None:
        """Say "still at work", unless a sentence tells why it does not."""
        if not why:
            self._send("WATCHDOG=1")
        elif why != self._stuck:
            _log.error("the watchdog is not pinged: %s", why)
        self._stuck = why

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)  # systemd that does not listen must not stop a role
                sender.sendto(text.encode(errors="replace"), self._address)
        except OSError as error:
            _log.warning("systemd could not be told %r: %s", text.partition("\n")[0], error)


def _address(named: str) -> str | None:
    """A path, or an abstract name, which is written with an @ for its first byte of zero (unix(7))."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float:
    """Of this process: a parent's times are inherited by whoever it starts."""
    micros, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (micros.isascii() and micros.isdigit()) or whose not in ("", str(pid)):
        return 0.0
    return int(micros) / 1_000_000


def _line(text: str) -> str:
    """One line of bounded length: a line break would begin another field."""
    return " ".join(text.split())[:_LONGEST_STATUS]
