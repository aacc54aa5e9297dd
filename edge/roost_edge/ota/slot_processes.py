"""The processes of a line's slots: whoever starts and ends them. Here the supervisor, through its socket."""

import asyncio
import contextlib
import shutil
from typing import Protocol

from roost_broker.errors import PeerError, RoostError
from roost_edge.ota.lines import Line, Slot
from roost_edge.processes import control
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.succession import forget_session
from roost_edge.settings.device import Settings

_PATIENCE_S = 30.0


class SlotProcesses(Protocol):
    """What the agent asks of whoever runs the roles."""

    async def start(self, line: Line, slot: Slot) -> None:
        """Let a slot's process run; harmless when it does. Raises `RoostError`."""
        ...

    async def stop(self, line: Line, slot: Slot) -> None:
        """End it, and forget what was kept for it; harmless when it does not run. Raises `RoostError`."""
        ...


class SupervisedSlots:
    """By the supervisor of the same data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def start(self, line: Line, slot: Slot) -> None:
        """See `SlotProcesses`."""
        await self._ask("start", line, slot)

    async def stop(self, line: Line, slot: Slot) -> None:
        """See `SlotProcesses`."""
        await self._ask("remove", line, slot)
        with contextlib.suppress(RoostError):  # its session ends by itself in a week
            await forget_session(self._settings, _role(line, slot))
        # Internal state goes with the session: what was missed since cannot be made up for from a snapshot that the
        # archive may not reach back to. Whatever comes into the slot builds its own from the archive.
        state = self._settings.layout.internal_state(_role(line, slot))
        await asyncio.to_thread(shutil.rmtree, state, ignore_errors=True)

    async def _ask(self, do: str, line: Line, slot: Slot) -> None:
        wish = {"do": do, "role": _role(line, slot)}
        if await control.ask(self._settings.layout.control, wish, timeout_s=_PATIENCE_S) is None:
            remedy = "Start the device with `roost up`; under systemd: systemctl start roost-units.socket."
            raise PeerError("No supervisor runs here.", remedy)


def _role(line: Line, slot: Slot) -> str:
    return RoleProcess("model", line.task, line.name(slot)).name
