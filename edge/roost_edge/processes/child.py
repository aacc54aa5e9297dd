"""One child process of the supervisor: start it, read what it says, wait for its end, end it in bounded time."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from roost_edge.processes.child_log import ChildLog

_READ = 65_536


class Child:
    """A running process whose stderr goes line by line to a log and to `on_line`."""

    def __init__(self, process: asyncio.subprocess.Process, log: ChildLog, on_line: Callable[[str], None]) -> None:
        self._process = process
        self._log = log
        self._on_line = on_line

    @classmethod
    async def start(cls, command: Sequence[str], log: ChildLog, on_line: Callable[[str], None]) -> "Child":
        """Start `command`. It has no stdin, and its stdout goes where its stderr goes."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on a terminal reaches the supervisor alone, which stops all in order
        )
        return cls(process, log, on_line)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended already."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it and whatever it has started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Read its output to the end and wait for its end. Returns the exit status (negative: the signal)."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101  # PIPE was asked for
        while data := await pipe.read(_READ):
            for line in self._log.feed(data):
                self._on_line(line)
        for line in self._log.end():
            self._on_line(line)
        return await self._process.wait()
