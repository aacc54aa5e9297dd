"""What a supervisor knows of successors: who stands by, who belongs, which Python a slot runs with."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from roost_broker.credentials import as_user
from roost_broker.durable import write_durably
from roost_broker.errors import Misuse, RoostError
from roost_broker.mqtt import MqttBus
from roost_broker.role_access import session_user
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.slots import in_charge, other
from roost_edge.settings.device import DataLayout, Settings


class Successors:
    """Of one device. A role without slots always belongs."""

    def __init__(self, layout: DataLayout) -> None:
        self._layout = layout
        self.standing_by: set[str] = set()

    def belongs(self, role: RoleProcess) -> bool:
        """Whether this process is to be there: in charge, or getting ready to be."""
        return role.name in self.standing_by or in_charge(self._layout, role) == role

    def successor(self, name: str, running: Sequence[RoleProcess], python: str) -> RoleProcess:
        """The role to start beside a running one. Remembers its Python; raises `Misuse`."""
        names = {role.name for role in running}
        role = next((other(one) for one in running if one.has_slots and other(one).name == name), None)
        if role is None or name in names:
            raise Misuse(
                f"{name!r} is not a successor of a running role.",
                f"Running: {', '.join(sorted(names))}. Rendezvous and injector can have one.",
            )
        if in_charge(self._layout, role) == role:
            raise Misuse(f"{name} is in charge already.", "Restart the supervisor: it starts who is in charge.")
        if python and not Path(python).is_file():
            raise Misuse(f"There is no Python at {python}.", "Name one that has Roost installed.")
        path = self._python_path(role)
        if python:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, f"{python}\n".encode())  # a slot in charge whose Python is half a path cannot start
        else:
            path.unlink(missing_ok=True)
        self.standing_by.add(name)
        return role

    def check_removable(self, role: RoleProcess) -> None:
        """Raise `Misuse` for a role that is in charge."""
        if in_charge(self._layout, role) == role:
            raise Misuse(f"{role.name} is in charge and is not removed.", "Hand over first: roost upgrade.")

    def python(self, role: RoleProcess) -> str:
        """With which Python a slot runs; empty = the supervisor's own."""
        return python_of(self._layout, role)

    async def forget_sessions(self, settings: Settings, roles: Sequence[RoleProcess]) -> None:
        """A hand-over that was cut off may have left sessions for which the broker collects messages for nobody."""
        for role in roles:
            unused = other(role)
            if role.has_slots and self._layout.session(unused.name).exists():
                with suppress(RoostError):
                    await forget_session(settings, unused.name)

    def _python_path(self, role: RoleProcess) -> Path:
        return _python_path(self._layout, role)


def python_of(layout: DataLayout, role: RoleProcess) -> str:
    """With which Python a slot runs since its hand-over; empty = that of everybody else."""
    with suppress(OSError, ValueError):
        return _python_path(layout, role).read_text(encoding="utf-8").strip()
    return ""


def _python_path(layout: DataLayout, role: RoleProcess) -> Path:
    return layout.slot(f"{role.name}.python")


async def forget_session(settings: Settings, role: str) -> None:
    """Let the broker forget the sessions of a role whose process has ended. Raises `RoostError`."""
    for session in ("", "scores"):  # the second is that of a rendezvous server for what models say
        own = as_user(settings.broker, session_user(role, session), secret_of=role)
        broker = structs.replace(own, session_expiry_s=0)
        bus = MqttBus(broker, "-".join(part for part in (settings.node.name, role, session) if part))
        try:
            async with asyncio.timeout(broker.connect_timeout_s):
                await bus.start()
        except TimeoutError:
            raise RoostError("No broker answers.", "The sessions end by themselves in a week.") from None
        finally:
            await bus.stop(forget=True)
