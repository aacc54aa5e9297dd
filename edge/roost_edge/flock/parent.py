"""The process from which the models of a compact device are forked: `flock`, see `processes.together`.

It imports what they need, then forks each, watches them and starts again whoever ended (`keeping` decides). It has no
thread and no event loop, so a fork at any time finds it as it was at the first. A member is a process like any other
role's: its own interpreter, session, state, lock and name in the log; it ends when this one ends, however that ends.

Systemd knows this process alone. Members tell it what they would tell systemd; it is READY when none is still about to
start, and pings while it does its work: who hangs is ended by it, and the others never notice.
"""

import logging
import os
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from roost_broker.clock import SECOND
from roost_edge.flock.keeping import Action, End, Keeping
from roost_edge.flock.member import Upwards, be
from roost_edge.flock.preload import preload
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.service_manager import ServiceManager
from roost_edge.settings.device import Settings

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_LOOK_S = 2.0
"""Between two looks at the members' memory."""
_GRACE_S = 15.0
"""Members have so long to end in order; less than systemd gives the unit."""
_LONGEST = 4096
_PAGE = os.sysconf("SC_PAGE_SIZE")


def run_flock(settings: Settings, file: Path, roles: Sequence[RoleProcess], service: ServiceManager) -> int:
    """Run all of them until a signal arrives. Returns the exit status. `file` is where the settings were read from."""
    models = {role.name: settings.tasks[role.task].models[role.model] for role in roles}
    preload(Path(model.bundle) for model in models.values())
    keeping = Keeping(
        {name: model.memory_mb * 1_000_000 for name, model in models.items()},
        RestartPolicy(),
        now=time.monotonic_ns(),
        watchdog_ns=int(service.watchdog_s * SECOND),
    )
    _log.info("begins", extra={"fields": {"pid": os.getpid(), "members": len(roles)}})
    parent = _Parent(settings, file, roles, service, keeping)
    try:
        parent.run()
    finally:
        parent.end_all()
    _log.info("stopped in order")
    return 0


class _Parent:
    """Forks, listens, counts the dead."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        roles: Sequence[RoleProcess],
        service: ServiceManager,
        keeping: Keeping,
    ) -> None:
        self._settings = settings
        self._file = file
        self._roles = {role.name: role for role in roles}
        self._service = service
        self._keeping = keeping
        self._pids: dict[str, int] = {}
        self._ears: dict[str, socket.socket] = {}
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wakes, self._wake = socket.socketpair()
        self._wakes.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ, "")
        signal.set_wakeup_fd(self._wake.fileno())
        for number in _SIGNALS:
            signal.signal(number, _heard_by_the_socket)
        self._pings_ns = int(service.pings_every_s * SECOND)

    def run(self) -> None:
        """Until a signal says stop."""
        pinged = looked = 0
        while not self._stopping:
            now = time.monotonic_ns()
            for action in self._keeping.due(now):
                self._do(action)
            if now - looked >= _LOOK_S * SECOND:
                looked = now
                self._measure()
            if self._pings_ns and now - pinged >= self._pings_ns:
                pinged = now
                self._service.ping_once(self._keeping.stuck(now))
            self._service.told("ready" if self._keeping.ready else "starting", self._keeping.status)
            self._listen(self._wait_s(time.monotonic_ns(), pinged))
            self._bury()
        self._service.stopping()

    def end_all(self) -> None:
        """SIGTERM to each, and SIGKILL to whoever does not heed it. Returns when none is left."""
        self._stopping = True
        self._signal_all(signal.SIGTERM)
        until = time.monotonic() + _GRACE_S
        while self._pids and (left := until - time.monotonic()) > 0:
            self._listen(left)
            self._bury()
        for name in self._pids:
            _log.error("%s did not end in order; it is killed", name)
        self._signal_all(signal.SIGKILL)
        while self._pids:
            self._listen(1.0)
            self._bury()
        signal.set_wakeup_fd(-1)

    def _wait_s(self, now: int, pinged: int) -> float:
        wakes = [now + int(_LOOK_S * SECOND)]
        if (due := self._keeping.next_ns()) is not None:
            wakes.append(due)
        if self._pings_ns:
            wakes.append(pinged + self._pings_ns)
        return max(0.0, (min(wakes) - now) / SECOND)

    def _listen(self, timeout_s: float) -> None:
        now = 0
        for key, _ in self._selector.select(timeout_s):
            now = now or time.monotonic_ns()
            if not key.data:
                try:
                    numbers = self._wakes.recv(_LONGEST)
                except BlockingIOError:
                    continue
                self._stopping |= bool({signal.SIGTERM, signal.SIGINT} & set(numbers))
                continue
            try:
                said = self._ears[key.data].recv(_LONGEST)
            except OSError:  # it has just ended
                continue
            self._keeping.heard(key.data, said.decode(errors="replace").splitlines(), now)

    def _do(self, action: Action) -> None:
        if isinstance(action, End):
            _log.error("%s %s; it is ended", action.name, action.why)
            self._signal(action.name, signal.SIGABRT if action.how == "abort" else signal.SIGKILL)
            return
        self._fork(self._roles[action.name])

    def _fork(self, role: RoleProcess) -> None:
        ears, mouth = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal that comes to the child before it is itself would be heard by the parent, whose socket it still has.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError as error:  # no process or no memory to be had: later, perhaps
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ears.close()
            mouth.close()
            self._keeping.started(role.name, time.monotonic_ns())
            self._goes_again(role.name, f"could not be started: {error}")
            return
        if pid == 0:
            ears.close()
            self._become(role, mouth, parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        mouth.close()
        ears.setblocking(False)
        self._pids[role.name], self._ears[role.name] = pid, ears
        self._selector.register(ears, selectors.EVENT_READ, role.name)
        self._keeping.started(role.name, time.monotonic_ns())

    def _become(self, role: RoleProcess, mouth: socket.socket, parent: int) -> NoReturn:
        """In the child: nothing of the parent's is left but what it has imported."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        for one in (self._wakes, self._wake, *self._ears.values()):
            one.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        be(self._settings, self._file, role, Upwards(mouth, self._service.watchdog_s), parent)

    def _bury(self) -> None:
        for name, pid in list(self._pids.items()):
            found, how = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._pids[name]
            ears = self._ears.pop(name)
            self._selector.unregister(ears)
            ears.close()
            if not self._stopping:
                self._goes_again(name, _words(os.waitstatus_to_exitcode(how)))

    def _goes_again(self, name: str, what: str) -> None:
        chance = random.random()  # noqa: S311  # a spread, not a secret
        wait_s = self._keeping.ended(name, time.monotonic_ns(), chance)
        _log.error("%s %s; it starts again in %.1f s", name, what, wait_s)

    def _measure(self) -> None:
        for name, pid in self._pids.items():
            if (end := self._keeping.measured(name, _own_bytes(pid))) is not None:
                self._do(end)

    def _signal_all(self, number: signal.Signals) -> None:
        for name in self._pids:
            self._signal(name, number)

    def _signal(self, name: str, number: signal.Signals) -> None:
        # Nobody else waits for it, so until we have, its number is nobody else's.
        if (pid := self._pids.get(name)) is not None:
            os.kill(pid, number)


def _heard_by_the_socket(_number: int, _frame: object) -> None:
    """A handler there must be, or the signal does what it does to others."""


def _own_bytes(pid: int) -> int:
    """What it has in memory that is no file: what the kernel would count for a unit with this process alone."""
    try:
        resident, of_files = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1:3]
    except (OSError, ValueError):  # it has just ended
        return 0
    return (int(resident) - int(of_files)) * _PAGE


def _words(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
