"""Where values come from: topics, files and commands. They only ever tell the keeper; no request waits for them.

* Topics are read on a bus of their own: any topic may be named, also one that the injector itself uses.
* A file is read in a thread of its own (a sensor on a wire takes a second, a dead network folder for ever).
* A command is a child process in a group of its own, killed with all it started when it takes too long or says too
  much. No shell.

A source that fails is counted, told once (`problem`), and tried again; it never ends the role.
"""

import asyncio
import contextlib
import logging
import os
import signal
import stat
from collections.abc import Callable
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import Clock
from roost_broker.errors import Misuse
from roost_broker.worker import Worker
from roost_rendezvous.injector.keeper import StateKeeper
from roost_rendezvous.injector.reading import MAX_BYTES
from roost_rendezvous.injector.settings import StateValue

_log = logging.getLogger(__name__)
_REAP_S = 1.0
"""How long a killed process is waited for; one that the kernel holds is left to it."""


class StateSources:
    """Runs the sources of one injector. `problem(name, why)` is called when a value becomes unreadable.

    `listening` is unstarted, and needed only where a value comes from a topic; `Misuse` without it.
    """

    def __init__(
        self, keeper: StateKeeper, listening: Bus | None, *, clock: Clock, problem: Callable[[str, str], None]
    ) -> None:
        self._keeper = keeper
        self._listening = listening
        self._clock = clock
        self._problem = problem
        self._failing: set[str] = set()
        self._last: dict[str, bytes] = {}
        by_topic: dict[str, list[str]] = {}
        for name, rule in keeper.values.items():
            if rule.topic:
                by_topic.setdefault(rule.topic, []).append(name)
        if by_topic and listening is None:
            raise Misuse("Values of state come from topics, and there is no bus to hear them.", "Give `listening`.")
        for topic, names in by_topic.items():
            if listening is not None:
                listening.subscribe(topic, partial(self._heard, tuple(names)))
        self._topics = bool(by_topic)

    async def run(self) -> None:
        """Until cancelled."""
        readers = {"file": self._read_files, "command": self._run_commands}
        tasks: list[asyncio.Future[None]] = [
            asyncio.ensure_future(readers["file" if rule.file else "command"](name, rule))
            for name, rule in self._keeper.values.items()
            if rule.file or rule.command
        ]
        try:
            if self._listening is not None and self._topics:
                await self._listening.start()
            for_ever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # Not `gather`: cancelled, it would cancel them too, and below they are cancelled once, to end in order.
            ended, _ = await asyncio.wait({for_ever, *tasks}, return_when=asyncio.FIRST_EXCEPTION)
            for task in ended:
                task.result()
        finally:
            await cancel_and_wait(*tasks)
            if self._listening is not None:
                await self._listening.stop()

    # -- topics -------------------------------------------------------------------------------------------------

    def _heard(self, names: tuple[str, ...], delivery: Delivery) -> None:
        delivery.ack()
        for name in names:
            if delivery.retained:
                # Told again at each reconnection: the same words do not make an old value young.
                if not self._keeper.values[name].retained or self._last.get(name) == delivery.payload:
                    continue
            elif not delivery.payload:
                continue  # a retained value was cleared
            self._last[name] = delivery.payload if len(delivery.payload) <= MAX_BYTES else b""
            self._put(name, delivery.payload)

    # -- files --------------------------------------------------------------------------------------------------

    async def _read_files(self, name: str, rule: StateValue) -> None:
        thread = Worker(f"state {name}")
        try:
            while True:
                reading = thread.call(_read_file, rule.file)
                done, _ = await asyncio.wait({reading}, timeout=rule.timeout_s)
                if not done:
                    self._failed(name, f"not read within {rule.timeout_s:g} s")
                    await asyncio.wait({reading})
                try:
                    data, changed_wall_ns = reading.result()
                except OSError as error:
                    self._failed(name, error.strerror or type(error).__name__)
                else:
                    aged = max(0, self._clock.wall_ns() - changed_wall_ns) if rule.dated_by == "file" else 0
                    self._put(name, data, age_ns=aged)
                await asyncio.sleep(rule.every_s)
        finally:
            thread.stop()

    # -- commands -----------------------------------------------------------------------------------------------

    async def _run_commands(self, name: str, rule: StateValue) -> None:
        while True:
            try:
                data = await run_command(rule.command, rule.timeout_s)
            except (OSError, ValueError) as error:
                self._failed(name, (error.strerror if isinstance(error, OSError) else None) or str(error))
            else:
                self._put(name, data)
            await asyncio.sleep(rule.every_s)

    # -- all ----------------------------------------------------------------------------------------------------

    def _put(self, name: str, data: bytes, *, age_ns: int = 0) -> None:
        why = self._keeper.put(name, data, self._clock.monotonic_ns(), age_ns=age_ns)
        if why:
            self._tell(name, why)
        else:
            self._failing.discard(name)

    def _failed(self, name: str, why: str) -> None:
        self._tell(name, self._keeper.unreadable(name, why))

    def _tell(self, name: str, why: str) -> None:
        if name not in self._failing:
            self._failing.add(name)
            _log.warning("state value %s cannot be read: %s", name, why)
            self._problem(name, why)


def _read_file(path: str) -> tuple[bytes, int]:
    """Content, one byte more than allowed at most, and the wall time of its last change. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer must not hang us
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "not a regular file")
        pieces, left = [], MAX_BYTES + 1
        while left and (piece := os.read(handle, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces), about.st_mtime_ns
    finally:
        os.close(handle)


class _Output(asyncio.SubprocessProtocol):
    """Collects what a process prints. `done` when it has ended and closed its output, or has said too much."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.data = bytearray()
        self.done: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.data += data
        if len(self.data) > MAX_BYTES and not self.done.done():
            self.done.set_exception(ValueError(f"said more than {MAX_BYTES} bytes"))

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run_command(command: tuple[str, ...], timeout_s: float) -> bytes:
    """What it printed. Raises OSError when it does not start, ValueError when it failed, lasted or said too much."""
    transport, output = await asyncio.get_running_loop().subprocess_exec(
        _Output,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            await output.done
    except TimeoutError:
        raise ValueError(f"not done within {timeout_s:g} s") from None
    finally:
        # The whole group, also when the program itself has ended: what it left behind must not pile up.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        await asyncio.wait({output.exited}, timeout=_REAP_S)
        transport.close()
    if transport.get_returncode():
        raise ValueError(f"ended with status {transport.get_returncode()}")
    return bytes(output.data)
