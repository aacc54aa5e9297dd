"""Who starts and ends processes in a hand-over: the supervisor, when one runs; else whoever typed the command."""

import asyncio
from pathlib import Path

from roost_broker.errors import RoostError
from roost_edge.processes import control
from roost_edge.processes.own_process import is_held
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.succession import forget_session
from roost_edge.settings.device import Settings

_REPLY_S = 30.0
_LOOK_S = 0.05


class SupervisedStage:
    """The supervisor of this device does it; see `control`."""

    def __init__(self, settings: Settings, python: str) -> None:
        self._settings = settings
        self._python = python

    async def start(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        await self._ask({"do": "start", "role": role, "python": self._python})

    async def remove(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        await self._ask({"do": "remove", "role": role})

    async def forget(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        await forget_session(self._settings, role)

    async def _ask(self, request: dict[str, str]) -> None:
        if await control.ask(self._settings.layout.control, request, timeout_s=_REPLY_S) is None:
            raise RoostError("The supervisor has ended.", "Start it again; it starts who is in charge.")


class StageByHand:
    """Nobody supervises: the successor is started by hand, and a process that has handed over ends by itself."""

    def __init__(self, settings: Settings, role: RoleProcess, settings_path: Path) -> None:
        self._settings = settings
        self._role = role
        self._path = settings_path

    async def start(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        raise RoostError(
            f"Nobody is there to start {role}: no supervisor (`roost up`) runs from {self._settings.layout.data}.",
            "Start it, in standby, and then say the same again: "
            f"roost run {self._role.kind} --task {self._role.task} --standby --settings {self._path}",
        )

    async def remove(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        lock = self._settings.layout.session(f"{role}.lock")
        for _ in range(int(_REPLY_S / _LOOK_S)):
            if not is_held(lock):
                return
            await asyncio.sleep(_LOOK_S)
        raise RoostError(f"{role} runs on.", "End it by hand.")

    async def forget(self, role: str) -> None:
        """See `handover.conducting.Stage`."""
        await forget_session(self._settings, role)
