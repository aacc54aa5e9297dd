"""Which of a role's two slots is in charge: a file, so that every start, however it comes about, finds the right one.

The process that takes over writes it, and so does the one that hands over, at the transition token: whoever of the
two is killed in that moment and started again finds what was decided. See docs/upgrade.md.
"""

import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from roost_broker.durable import sync
from roost_broker.errors import Misuse
from roost_edge.processes.plan import RoleProcess
from roost_edge.settings.device import DataLayout
from roost_rendezvous.handover.slots import OTHER_SLOT, SLOTS

Standing: TypeAlias = Literal["alone", "standby", "resumes"]
"""In charge from the start; waiting for its token; in charge since its token, and started again."""

_log = logging.getLogger(__name__)


def other(role: RoleProcess) -> RoleProcess:
    """The same role in its other slot."""
    return replace(role, slot=OTHER_SLOT[role.slot])


def in_charge(layout: DataLayout, role: RoleProcess) -> RoleProcess:
    """The role in the slot that is in charge; a role without slots unchanged."""
    if not role.has_slots:
        return role
    first, second = (replace(role, slot=slot) for slot in SLOTS)
    return second if _name_in(_path(layout, role)) == second.name else first


def remember(layout: DataLayout, role: RoleProcess, name: str) -> None:
    """From now on the process called `name` is in charge; anything but the role's two names is left alone.

    There for every process at once, and synced to the card a moment later: the requests behind the token do not wait.
    """
    if name not in (role.name, other(role).name):
        return
    path = _path(layout, role)
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # old and new write in the same moment
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="ascii") as file:
            file.write(f"{name}\n")
        fd = os.open(beside, os.O_RDONLY)
        beside.replace(path)
    except OSError as error:  # a card that is full must not cost an answer
        _log.error("that %s is in charge could not be remembered: %s", name, error)
        return
    threading.Thread(target=_sync, args=(fd, path.parent), name="slot", daemon=True).start()


def placed(layout: DataLayout, role: RoleProcess, slot: str | None, *, standby: bool) -> tuple[RoleProcess, Standing]:
    """Where a role that was asked for runs, and how it stands. Raises `Misuse` for what would answer twice.

    Without `slot` it is the one in charge, or in standby the other one. Standby in the slot that is in charge is none:
    a successor that took over and was killed is started with the same words, and resumes.
    """
    if not role.has_slots:
        if slot is not None or standby:
            raise Misuse(f"{role.name} has no slots.", "--slot and --standby are for rendezvous and injector.")
        return role, "alone"
    active = in_charge(layout, role)
    wanted = replace(role, slot=slot) if slot is not None else other(active) if standby else active
    if wanted != active and not standby:
        raise Misuse(
            f"{active.name} is in charge; {wanted.name} beside it would answer everything twice.",
            "Leave --slot out, or start it with --standby and hand over to it: roost upgrade.",
        )
    if not standby:
        return wanted, "alone"
    return wanted, "resumes" if wanted == active else "standby"


def _path(layout: DataLayout, role: RoleProcess) -> Path:
    return layout.slot(replace(role, slot="").name)


def _name_in(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _sync(fd: int, folder: Path) -> None:
    try:
        os.fsync(fd)
        sync(folder)
    except OSError as error:
        _log.warning("which slot is in charge could not be synced: %s", error)
    finally:
        os.close(fd)
