"""How the supervisor starts a process: the words of its command line."""

import os
import sys
from pathlib import Path

from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.together import ASIDE

_PROGRAM = ("-m", "roost_edge.daemon")


def of_role(role: RoleProcess, settings: Path, *, fault: str, standby: bool, python: str) -> tuple[str, ...]:
    """A process with one role. `python`: with which Python; empty = the supervisor's own."""
    extra: tuple[str, ...] = ("--fault", fault) if fault else ()
    if role.has_slots:
        extra += ("--slot", role.slot or "a")
    if standby:
        extra += ("--standby",)
    return (python or sys.executable, *_PROGRAM, *role.arguments(), *_fixed(settings), *extra)


def of_aside(settings: Path) -> tuple[str, ...]:
    """The process of those that share one."""
    return (sys.executable, *_PROGRAM, "--name", ASIDE, *_fixed(settings))


def _fixed(settings: Path) -> tuple[str, ...]:
    return ("--settings", str(settings), "--die-with", str(os.getpid()))
