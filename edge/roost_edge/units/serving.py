"""The service `roost-units`: what the supervisor's socket offers (`processes.control`), by systemctl.

Rules:

1. It starts and ends slots of this device's settings, and no other unit: every name is looked up there.
2. A slot that answers is not ended, as under `roost up`.
3. Who may ask is decided by the socket, which systemd makes for the user `roost` alone.
4. It ends when nobody has asked for a minute; systemd starts it with the next question.
"""

import argparse
import asyncio
import logging
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from roost_broker.cancellation import within
from roost_broker.errors import Misuse, RoostError
from roost_broker.stopping import told_to_stop
from roost_edge import logs
from roost_edge.processes import model_slots
from roost_edge.processes.control import Control
from roost_edge.processes.named import every, named, standing_of
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.service_manager import ServiceManager
from roost_edge.processes.succession import Successors
from roost_edge.settings import loading
from roost_edge.units import systemctl
from roost_edge.units.names import unit_for, unit_of

_log = logging.getLogger(__name__)
_IDLE_S = 60.0
_END_S = 27.0
"""Less than whoever asks waits (30 s), more than a unit has before it is killed (20 s)."""
_FIRST_FD = 3  # sd_listen_fds(3)


class Systemd(Protocol):
    """What is asked of systemd."""

    async def __call__(self, *words: str, timeout_s: float = ...) -> str:
        """See `systemctl.asked`."""
        ...


class UnitSlots:
    """Answers requests. The settings are read anew for each: they may have changed in between."""

    def __init__(self, settings: Path, *, standby: Path, systemd: Systemd = systemctl.asked) -> None:
        self._path = settings
        self._standby = standby
        self._systemd = systemd
        self.busy = 0
        self.asked_at = time.monotonic()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """See `processes.control`. Raises `Misuse`, `PeerError`."""
        self.busy += 1
        try:
            return await self._answer(request)
        finally:
            self.busy -= 1
            self.asked_at = time.monotonic()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        settings = loading.load(self._path)
        name, wish = str(request.get("role", "")), request.get("do")
        if wish not in ("roles", "start", "remove"):
            raise Misuse(f"A supervisor cannot do {wish!r}.", "It can: roles, start, remove.")
        units = {role: unit_for(settings, role) for role in every(settings)}
        shown = systemctl.show(await self._systemd(*systemctl.show_words(tuple(dict.fromkeys(units.values())))))
        running = [role for role, unit in units.items() if _runs(shown, unit)]
        if wish == "roles":
            return {"roles": [_said(shown, role, units[role]) for role in running]}
        role = named(settings, name)
        slot = model_slots.slot_of(settings, role) is not None
        if not slot and not role.has_slots:
            raise Misuse(f"{role.name} has no slots.", f"systemctl start {units[role]}, or stop it.")
        if wish == "remove":
            await self._remove(settings, role, slot=slot)
        elif slot:
            await self._start(role)
        else:
            # Who is in charge counts as running: it may be between two starts.
            there = [*running, *(one for one in every(settings) if standing_of(settings, one, standby=False))]
            Successors(settings.layout).successor(role.name, there, str(request.get("python", "")))
            self._standby.mkdir(parents=True, exist_ok=True)
            (self._standby / role.name).touch()
            await self._start(role)
        return {}

    async def _start(self, role: RoleProcess) -> None:
        unit = unit_of(role)
        with suppress(RoostError):  # nothing had failed
            await self._systemd("reset-failed", unit)
        # Not waited for: it is ready when it says so on the broker, where the one who asked listens.
        await self._systemd("start", "--no-block", unit)
        _log.info("%s starts", unit)

    async def _remove(self, settings: Any, role: RoleProcess, *, slot: bool) -> None:
        if slot:
            model_slots.check_removable(settings, role)
        else:
            Successors(settings.layout).check_removable(role)
        (self._standby / role.name).unlink(missing_ok=True)
        await self._systemd("stop", unit_of(role), timeout_s=_END_S)
        _log.info("%s was ended", unit_of(role))


def _runs(shown: Any, unit: str) -> bool:
    return shown.get(unit, {}).get("ActiveState") in ("active", "activating", "reloading")


def _said(shown: Any, role: RoleProcess, unit: str) -> dict[str, Any]:
    values = shown[unit]
    return {
        "name": role.name,
        "pid": int(values.get("MainPID", "0")) or None,
        "state": values.get("StatusText", "").partition(":")[0] or "unknown",
    }


async def serve(settings: Path, standby: Path, listener: socket.socket | None, service: ServiceManager) -> None:
    """Answer until told to stop, or until nobody has asked for a minute. `listener` is systemd's."""
    stop = told_to_stop()
    slots = UnitSlots(settings, standby=standby)
    control = Control(loading.load(settings).layout.control, slots.answer)
    pinging = asyncio.create_task(service.ping(lambda: ""))
    try:
        if not await control.open(listener):
            raise Misuse(
                "Another supervisor runs from this data folder.", "End `roost up`; on a device systemd does it."
            )
        service.told("ready", "")
        while not stop.is_set() and (slots.busy or time.monotonic() - slots.asked_at < _IDLE_S or listener is None):
            with suppress(TimeoutError):
                await within(stop.wait(), _IDLE_S / 4)
        service.stopping()
    finally:
        pinging.cancel()
        await control.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="roost-units", description="Start and end slots of this device by systemctl.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    parser.add_argument("--standby", type=Path, default=Path("/run/roost/standby"), metavar="DIR")
    options = parser.parse_args(arguments)
    logs.setup("roost-units")
    service = ServiceManager()
    try:
        asyncio.run(serve(options.settings, options.standby, _given_listener(), service))
    except RoostError as error:
        _log.error(str(error))
        return 2 if isinstance(error, Misuse) else 1
    return 0


def _given_listener() -> socket.socket | None:
    import os

    if os.environ.get("LISTEN_FDS") != "1" or os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    return socket.socket(fileno=_FIRST_FD)


if __name__ == "__main__":
    sys.exit(main())
