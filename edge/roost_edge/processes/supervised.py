"""One process under supervision: it is started, and started again when it ends, until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from roost_broker.cancellation import within
from roost_broker.clock import SECOND, Clock
from roost_edge.processes.child import Child
from roost_edge.processes.child_log import ChildLog
from roost_edge.processes.restart import RestartPolicy, after_exit


class SupervisedRole:
    """`run` is the whole life; the rest may be called at any time from the same event loop."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        sessions: Mapping[str, Path],
        *,
        policy: RestartPolicy,
        clock: Clock,
        chance: Callable[[], float],
        on_line: Callable[[str, str], None],
        on_change: Callable[[str, str], None],
        was_ready: "Callable[[SupervisedRole], bool]",
        belongs: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.restarts = 0
        self.never_ready = 0
        """Exits in a row of processes that were never ready."""
        self.sessions_before = {role: _stored_number(path) for role, path in sessions.items()}
        """Of each role in it, the session number that it had last before the present process was started."""
        self._command = tuple(command)
        self._log_path = log_path
        self._sessions = sessions
        self._policy = policy
        self._clock = clock
        self._chance = chance
        self._on_line = on_line
        self._on_change = on_change
        self._was_ready = was_ready
        self._belongs = belongs
        self._failures = 0
        self._child: Child | None = None
        self._log: ChildLog | None = None
        self._again = True
        self._wake = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child else None

    def last_lines(self, count: int) -> list[str]:
        """What its processes said last."""
        return self._log.last_lines(count) if self._log else []

    def send(self, number: signal.Signals, *, restart: bool) -> None:
        """Send a signal; `restart` says whether the role is to come back when it ends of it."""
        self._again = restart
        if not restart:
            self._wake.set()  # it may be between two processes
        if self._child:
            self._child.send(number)

    async def run(self) -> None:
        """Start, wait, start again; returns after the process has ended and is not to come back."""
        log = self._log = ChildLog(self._log_path)
        try:
            await self._keep_running(log)
        finally:
            log.close()

    async def _keep_running(self, log: ChildLog) -> None:
        while self._wanted():
            started = self._clock.monotonic_ns()
            ended = await self._run_once(log)
            if not self._wanted():
                self._on_change(self.name, ended)
                return
            decision = after_exit(
                self._policy,
                failures=self._failures,
                started_ns=started,
                now=self._clock.monotonic_ns(),
                chance=self._chance(),
            )
            self._failures = decision.failures
            self.never_ready = 0 if self._was_ready(self) else self.never_ready + 1
            wait = max(0, decision.due_ns - self._clock.monotonic_ns()) / SECOND
            self._on_change(self.name, f"{ended}; starts again in {wait:.1f} s")
            with suppress(TimeoutError):
                await within(self._wake.wait(), wait)
            self.restarts += 1

    async def end(self, task: "asyncio.Task[None]", grace_s: float) -> None:
        """Stop the role for good: SIGTERM, `grace_s` later SIGKILL. `task` is the one that runs `run`."""
        self._again = False
        self._wake.set()
        if self._child:
            self._child.send(signal.SIGTERM)
            self._child.send(signal.SIGCONT)  # one that was paused must run to hear it
        done, _ = await asyncio.wait({task}, timeout=grace_s)
        if not done and self._child:
            self._on_change(self.name, f"did not stop within {grace_s:g} s and is killed")
            self._child.kill()
        await task

    def _wanted(self) -> bool:
        """Read anew each time: it changes while `run` waits. One that has handed over is not started again."""
        return self._again and self._belongs()

    async def _run_once(self, log: ChildLog) -> str:
        """One process from start to end; returns how it ended."""
        self.sessions_before = {role: _stored_number(path) for role, path in self._sessions.items()}
        try:
            self._child = await Child.start(self._command, log, lambda line: self._on_line(self.name, line))
        except OSError as error:  # no memory or no process left: as transient as any other end
            return f"could not be started ({error.strerror})"
        self._on_change(self.name, "started")
        if not self._wanted():  # told to stop while the process was being made
            self._child.kill()
        try:
            return f"ended {_in_words(await self._child.ended())}"
        finally:
            self._child.kill()  # on cancellation; after an ordinary end it finds nobody but forgotten grandchildren
            self._child = None


def _stored_number(path: Path) -> int:
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return 0


def _in_words(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    with suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"
