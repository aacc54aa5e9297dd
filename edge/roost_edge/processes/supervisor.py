"""All roles of a settings file as child processes: what systemd does on a device, here for the demo and a desk.

    supervisor = Supervisor(Path("roost.toml"))
    await supervisor.start()           # consumers first; cameras when the others are ready
    await supervisor.wait_ready()      # or an error that names the role and shows what it said last
    supervisor.kill("model-henhouse-champion", signal.SIGKILL, restart=False)
    await supervisor.stop()            # cameras first; nobody is left

While it runs, `roost upgrade` asks it through a socket in the data folder to start successors and to drop those who
have handed over (see `succession`, `control`). Of two slots it starts the one in charge. Roles that share a process
(see `together`) are started, killed and ended together, whichever of them is named; those that are forked from one
(the flock) are started and ended together, and can be killed alone: their parent starts them again.

Everything here is called from one event loop. The children die with this process, however it ends.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from roost_broker.bus import Bus
from roost_broker.cancellation import within
from roost_broker.clock import MS, SECOND, Clock, SystemClock
from roost_broker.credentials import as_operator
from roost_broker.errors import Misuse, PeerError
from roost_broker.mqtt import MqttBus
from roost_edge.broker_setup.starting import how_to_start
from roost_edge.logs import readable
from roost_edge.processes import command_line, model_slots
from roost_edge.processes.control import Control
from roost_edge.processes.own_process import holder
from roost_edge.processes.plan import RoleProcess, candidates, plan
from roost_edge.processes.readiness import Readiness
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.slots import in_charge, other
from roost_edge.processes.succession import Successors
from roost_edge.processes.supervised import SupervisedRole
from roost_edge.processes.together import ASIDE, FLOCK, members, shares
from roost_edge.settings import loading
from roost_edge.settings.device import Settings
from roost_edge.units import systemctl

__all__ = ["RoleFailed", "RoleProcess", "Supervisor", "plan"]

_HOPELESS = 3  # exits in a row before it was ever ready: waiting longer would not help
_LAST_LINES = 8


class RoleFailed(PeerError):
    """A role did not become ready; `role` is its name."""

    def __init__(self, role: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.role = role


def _ignore(_role: str, _text: str) -> None:
    pass


class Supervisor:
    """Runs the roles of one settings file.

    `faults` maps a role's name to a fault (see `roost_broker.faults`), honoured only in QA.
    `on_line(role, line)` gets every line that a child says, `on_change(role, what)` each start and end.
    """

    def __init__(
        self,
        settings_path: Path,
        *,
        faults: Mapping[str, str] | None = None,
        policy: RestartPolicy | None = None,
        on_line: Callable[[str, str], None] = _ignore,
        on_change: Callable[[str, str], None] = _ignore,
        clock: Clock | None = None,
    ) -> None:
        self.settings: Settings = loading.load(settings_path)
        planned = model_slots.to_start(self.settings, plan(self.settings))
        self.roles = tuple(in_charge(self.settings.layout, role) for role in planned)
        faults = dict(faults or {})
        if faults and not self.settings.node.qa:
            raise Misuse("Faults are injected only where the settings allow it.", "Set `qa = true` below [node].")
        if strangers := sorted(set(faults) - {role.name for role in self.roles}):
            raise Misuse(
                f"There is no role {strangers[0]!r} to inject a fault into.",
                f"Roles: {', '.join(role.name for role in self.roles)}.",
            )
        if tied := sorted(role.name for role in members(self.settings, FLOCK) if role.name in faults):
            raise Misuse(
                f"No fault is injected into {tied[0]} on a compact device.", "Set compact = false below [node] for it."
            )
        if not self.roles:
            raise Misuse(f"{settings_path} asks for no roles.", "Add a [tasks.…] table and a [cameras.…] table.")
        self._clock = clock or SystemClock()
        layout = self.settings.layout
        self._on_change = on_change
        self._faults = faults
        self._path = settings_path.resolve()
        self._policy = policy or RestartPolicy()
        self._on_line = on_line
        self._successors = Successors(layout)
        self._control = Control(layout.control, self._asked)
        self._supervised = {role.name: self._supervise(role) for role in self.roles if not shares(self.settings, role)}
        self._supervised |= self._supervise_shared(ASIDE) | self._supervise_shared(FLOCK)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bus: Bus | None = None
        self._readiness: Readiness | None = None

    async def start(self, *, settle_s: float = 30.0) -> None:
        """Start everything. Cameras begin when all others are ready, or after `settle_s` at the latest.

        Raises `PeerError` when the broker cannot be reached; then nothing has been started.
        """
        if self._bus is not None:
            raise Misuse("This supervisor was started already.", "Make a new one.")
        await self._follow_states()
        if not await self._control.open():
            self._on_change("supervisor", "another one runs from this data folder; `roost upgrade` will ask that one")
        await self._successors.forget_sessions(self.settings, self.roles)
        for role in self.roles:
            if role.kind != "capture":
                self._begin(role.name)
        others = [role.name for role in self._awaited() if role.kind != "capture"]
        late = await self._wait_for(others, settle_s, give_up=False)
        if late:
            self._on_change(late[0], f"is not ready after {settle_s:g} s; the cameras begin all the same")
        for role in self.roles:
            if role.kind == "capture":
                self._begin(role.name)

    async def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Return when every role has said that it is ready. Raises `RoleFailed` for the first that has not."""
        late = await self._wait_for([role.name for role in self._awaited()], timeout_s, give_up=True)
        if late:
            raise self._failure(late[0], timeout_s)

    async def stop(self, *, grace_s: float = 10.0) -> None:
        """End all roles, stage by stage; each stage has `grace_s` before it is killed. Harmless when repeated."""
        await self._control.close()
        stages: dict[str, int] = {}
        for role in self.roles:
            process = self.process_of(role.name)
            stages[process] = max(role.stage, stages.get(process, 0))  # whoever shares one ends with the last of them
        processes = {one.name: one for one in self._supervised.values()}
        for stage in sorted(set(stages.values())):
            names = [name for name, its in stages.items() if its == stage and name in self._tasks]
            await asyncio.gather(*(processes[name].end(self._tasks[name], grace_s) for name in names))
        self._tasks.clear()
        if self._bus is not None:
            bus, self._bus = self._bus, None
            await bus.stop()

    async def start_successor(self, name: str, *, python: str = "") -> None:
        """Start the other slot of a role beside it, in standby, with another Python if need be. Raises `Misuse`."""
        role = self._successors.successor(name, self.roles, python)
        self._supervised[name] = self._supervise(role, standby=True)
        self.roles = (*self.roles, role)
        self._begin(name)

    async def remove(self, name: str, *, grace_s: float = 10.0) -> None:
        """End a role that is not in charge, and start it no more. Harmless when it is not there. Raises `Misuse`."""
        role = next((role for role in self.roles if role.name == name), None)
        if role is None:
            return
        if model_slots.slot_of(self.settings, role) is not None:
            model_slots.check_removable(self.settings, role)
        else:
            self._successors.check_removable(role)
        if name in self._tasks:
            await self._supervised[name].end(self._tasks.pop(name), grace_s)
        self._successors.standing_by.discard(name)
        self.roles = tuple(one for one in self.roles if one is not role)
        del self._supervised[name]

    def start_slot(self, role: RoleProcess) -> None:
        """Start a slot of a model that is kept up to date, with what lies in it now. Harmless when it runs."""
        if all(one.name != role.name for one in self.roles):
            self._supervised[role.name] = self._supervise(role)
            self.roles = (*self.roles, role)
            self._begin(role.name)

    def process_of(self, name: str) -> str:
        """Name of the process that runs a role."""
        return self._role(name).name

    def pid(self, name: str) -> int | None:
        """Process id of a role; None while it is not running."""
        one = self._role(name)
        return one.pid if one.name != FLOCK else holder(self.settings.layout.session(f"{name}.lock"))

    def process_pid(self, name: str) -> int | None:
        """Of the process that this supervisor has started for a role: of a flock, the parent."""
        return self._role(name).pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL, *, restart: bool = True) -> None:
        """Send a signal to a role; `restart` says whether it is to come back when it ends."""
        one = self._role(name)
        if one.name != FLOCK:
            one.send(number, restart=restart)
        elif not restart:
            raise Misuse(f"{name} cannot be ended alone.", "It is one of a flock: set compact = false below [node].")
        elif (pid := self.pid(name)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def state(self, name: str) -> str:
        """What the role itself said last: `starting`, `ready`, `failed` …; `unknown` if nothing since its start."""
        role = self._role(name)
        return self._readiness.state(name, after_session=role.sessions_before[name]) if self._readiness else "unknown"

    def restarts(self, name: str) -> int:
        """How often a role was started again."""
        return self._role(name).restarts

    def last_lines(self, name: str, count: int = _LAST_LINES) -> list[str]:
        """What a role said last."""
        return self._role(name).last_lines(count)

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        """What somebody on the socket wants."""
        name = str(request.get("role", ""))
        match request.get("do"):
            case "roles":
                return {
                    "roles": [
                        {"name": role.name, "pid": self.pid(role.name), "state": self.state(role.name)}
                        for role in self.roles
                    ]
                }
            case "start" if slot := model_slots.candidate(self.settings, name):
                self.start_slot(slot)
            case "start":
                await self.start_successor(name, python=str(request.get("python", "")))
            case "remove":
                await self.remove(name)
            case unknown:
                raise Misuse(f"A supervisor cannot do {unknown!r}.", "It can: roles, start, remove.")
        return {}

    def _supervise(self, role: RoleProcess, *, standby: bool = False) -> SupervisedRole:
        fault = self._faults.get(role.name, "")
        python = self._successors.python(role)
        command = command_line.of_role(role, self._path, fault=fault, standby=standby, python=python)
        return self._process(role.name, command, [role], partial(self._successors.belongs, role))

    def _supervise_shared(self, name: str) -> dict[str, SupervisedRole]:
        roles = members(self.settings, name)
        if not roles:
            return {}
        process = self._process(name, command_line.of_several(name, self._path), roles, lambda: True)
        return {role.name: process for role in roles}

    def _process(
        self, name: str, command: tuple[str, ...], roles: Sequence[RoleProcess], belongs: Callable[[], bool]
    ) -> SupervisedRole:
        layout = self.settings.layout
        return SupervisedRole(
            name,
            command,
            layout.log(name),
            {role.name: layout.session(role.name) for role in roles},
            policy=self._policy,
            clock=self._clock,
            chance=random.random,
            on_line=self._on_line,
            on_change=self._on_change,
            was_ready=self._was_ready,
            belongs=belongs,
        )

    async def _follow_states(self) -> None:
        broker = self.settings.broker
        # Nobody waits for what the supervisor missed while it was away: its session ends with its connection.
        eyes = structs.replace(as_operator(broker), session_expiry_s=0)
        self._bus = MqttBus(eyes, f"{self.settings.node.name}-supervisor-{os.getpid()}")
        both = (*self.roles, *(other(role) for role in self.roles if role.has_slots), *candidates(self.settings))
        self._readiness = Readiness(self._bus, self.settings.topics, both)
        try:
            await within(self._bus.start(), broker.connect_timeout_s)
        except TimeoutError as error:
            await self.stop()
            raise PeerError(
                f"No broker answers at {broker.host}:{broker.port}.",
                how_to_start(broker.port, systemd=systemctl.runs()),
            ) from error

    def _awaited(self) -> list[RoleProcess]:
        """Roles without which a device is not ready: what a model's second slot tries out is not among them."""
        return [role for role in self.roles if not model_slots.beside(self.settings, role)]

    def _was_ready(self, role: SupervisedRole) -> bool:
        readiness = self._readiness
        return readiness is not None and any(
            readiness.was_ready(name, after_session=before) for name, before in role.sessions_before.items()
        )

    def _begin(self, name: str) -> None:
        if self._bus is None:
            return  # stopped while it was still starting
        process = self._supervised[name]
        if process.name not in self._tasks:
            self._tasks[process.name] = asyncio.create_task(process.run(), name=process.name)

    async def _wait_for(self, names: list[str], timeout_s: float, *, give_up: bool) -> list[str]:
        """Names that are not ready at the end; `give_up` ends the wait early when one cannot become ready."""
        if self._readiness is None:
            raise Misuse("This supervisor was not started.", "Await start() first.")
        end = self._clock.monotonic_ns() + int(timeout_s * SECOND)
        while True:
            late = self._readiness.waiting({name: self._supervised[name].sessions_before[name] for name in names})
            hopeless = [name for name in late if self._supervised[name].never_ready >= _HOPELESS]
            left = end - self._clock.monotonic_ns()
            if not late or left <= 0 or (hopeless and give_up):
                return hopeless or late
            # A role that dies says nothing on the broker, so look again now and then.
            await self._readiness.news(min(left, 250 * MS) / SECOND)

    def _failure(self, name: str, timeout_s: float) -> RoleFailed:
        role = self._supervised[name]
        said = "\n".join(f"    {readable(line)}" for line in role.last_lines(_LAST_LINES)) or "    (nothing)"
        if role.never_ready:
            problem = f"{name} ended {role.never_ready} times in a row instead of becoming ready."
        else:
            problem = f"{name} is not ready after {timeout_s:g} s (state: {self.state(name)})."
        return RoleFailed(
            name,
            f"{problem} It said last:\n{said}\n",
            f"Its whole log: {self.settings.layout.log(role.name)}",
        )

    def _role(self, name: str) -> SupervisedRole:
        try:
            return self._supervised[name]
        except KeyError:
            raise Misuse(f"There is no role {name!r}.", f"Roles: {', '.join(self._supervised)}.") from None
