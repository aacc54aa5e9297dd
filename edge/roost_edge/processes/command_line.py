"""How the supervisor starts a process: the words of its command line."""

import os
import sys
from pathlib import Path

from roost_edge.processes.plan import RoleProcess

_PROGRAM = ("-m", "roost_edge.daemon")


def of_role(role: RoleProcess, settings: Path, *, fault: str, standby: bool, python: str) -> tuple[str, ...]:
    """A process with one role. `python`: with which Python; empty = the supervisor's own."""
    extra: tuple[str, ...] = ("--fault", fault) if fault else ()
    if role.has_slots:
        extra += ("--slot", role.slot or "a")
    if standby:
        extra += ("--standby",)
    return (python or sys.executable, *_PROGRAM, *role.arguments(), *_fixed(settings), *extra)


def of_several(process: str, settings: Path) -> tuple[str, ...]:
    """A process of several roles (see `together`)."""
    return (sys.executable, *_PROGRAM, "--name", process, *_fixed(settings))


def _fixed(settings: Path) -> tuple[str, ...]:
    return ("--settings", str(settings), "--die-with", str(os.getpid()))
