"""One role as a process: `python -m roost_edge.daemon ROLE [--task T] [--model M] [--camera C] --settings FILE`.

The supervisor starts this; people use `roost run ROLE`, which becomes it. With `--name aside` it is those roles that
share a process (`shared_daemon`), with `--name flock` the parent of the models (`flock.parent`). systemd, whose units
know a role by its name (`--name model-nest-champion`), is told how it stands (`processes.service_manager`). SIGTERM and
SIGINT end it in order with status 0. A fatal error is one clear line and status 1: it dies loudly and is started again.
Misuse (settings or arguments that cannot work) is status 2. It imports neither typer nor rich, and what a role needs
only when it is that role.
"""

import argparse
import asyncio
import faulthandler
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_edge import logs
from roost_edge.one_role import run, status_of
from roost_edge.processes import allocator, patience
from roost_edge.processes import own_process as process
from roost_edge.processes.counters import carry_over
from roost_edge.processes.named import named, standing_of
from roost_edge.processes.plan import KINDS, RoleProcess, resolve
from roost_edge.processes.service_manager import ServiceManager
from roost_edge.processes.slots import placed
from roost_edge.processes.succession import python_of
from roost_edge.processes.together import ASIDE, FLOCK, members
from roost_edge.settings import loading
from roost_edge.settings.device import Settings
from roost_edge.shared_daemon import run_together

log = logging.getLogger("roost_edge.daemon")


def parser() -> argparse.ArgumentParser:
    """The arguments, as `roost run` passes them on."""
    arguments = argparse.ArgumentParser(prog="roost run", description="Run one role in the foreground.")
    arguments.add_argument("role", choices=KINDS, nargs="?", help="which role")
    arguments.add_argument(
        "--name",
        default="",
        help="which role, by its whole name (or `aside`, those that share a process, or `flock`, the models of a "
        "compact device): for a unit of systemd, where a slot that is not to run ends in order",
    )
    arguments.add_argument(
        "--settings", type=Path, required=True, metavar="FILE", help="settings of this device (TOML)"
    )
    arguments.add_argument("--task", default="", help="which task, where the settings have several")
    arguments.add_argument("--model", default="", help="which model, for the role model")
    arguments.add_argument("--replica", type=int, default=0, help="which replica, for a model that has several")
    arguments.add_argument("--camera", default="", help="which camera, for the role capture")
    arguments.add_argument(
        "--fault", default="", metavar="SPEC", help="misbehave on purpose, such as slow:5000 (QA only)"
    )
    arguments.add_argument(
        "--slot", choices=("a", "b"), help="rendezvous and injector: which of two slots (the one in charge)"
    )
    arguments.add_argument(
        "--standby", action="store_true", help="get ready beside the one in charge, for `roost upgrade` to hand over to"
    )
    arguments.add_argument("--die-with", type=int, default=0, metavar="PID", help="be killed when this parent ends")
    return arguments


def run_named(options: argparse.Namespace) -> int:
    """As a unit of systemd: the role of that name, where it is to run. Returns the exit status."""
    service = ServiceManager()
    if service.listens:
        faulthandler.enable()  # the watchdog ends a hung process by SIGABRT: the journal then has where it hung
    _wait_after_failures(service)
    settings = loading.load(options.settings)
    if options.name == ASIDE:
        logs.setup(ASIDE, settings.node.log_level)
        asyncio.run(run_together(settings, options.settings, _members(settings, ASIDE), service))
        return 0
    if options.name == FLOCK:
        from roost_edge.flock.parent import run_flock

        logs.setup(FLOCK, settings.node.log_level)
        flock = _members(settings, FLOCK)
        for one in flock:
            carry_over(settings.layout, one.name)
        return run_flock(settings, options.settings, flock, service)
    role = named(settings, options.name)
    logs.setup(role.name, settings.node.log_level)
    standby = Path(os.environ.get("ROOST_STANDBY", "/run/roost/standby"), role.name).exists()
    found = standing_of(settings, role, standby=standby)
    if found is None:
        service.nothing_to_do("not needed now: another slot does this work")
        log.info("another slot does this work; nothing to do")
        return 0
    _become(python_of(settings.layout, role))
    if role.kind == "model":
        carry_over(settings.layout, role.name)
    asyncio.run(run(settings, role, options.fault, standing=found[1], service=service, settings_file=options.settings))
    return 0


def _members(settings: Settings, process: str) -> tuple[RoleProcess, ...]:
    if not (roles := members(settings, process)):
        raise Misuse(f"In these settings no roles belong to {process}.", "Set compact = true below [node].")
    return roles


def _wait_after_failures(service: ServiceManager) -> None:
    """Before anything that can fail, the settings too: see `patience`."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "")
    if not folder:
        return
    now = time.monotonic_ns()
    begins = patience.remembered(Path(folder), patience.UNDER_SYSTEMD, now, random.random())  # noqa: S311  # a spread, not a secret
    if begins.started_ns > now:
        wait_s = (begins.started_ns - now) / SECOND
        service.status(f"ended {begins.failures} times in a row; waits {wait_s:.1f} s")
        time.sleep(wait_s)


def _become(python: str) -> None:
    """Go on as another Python, where a hand-over said so (`roost upgrade --python`)."""
    if not python or python == sys.executable:
        return
    if not Path(python).is_file():
        log.error("there is no Python at %s any more; this one goes on", python)
        return
    environment = {name: value for name, value in os.environ.items() if name != "RUNTIME_DIRECTORY"}
    # Without the folder, or this one start would count as two.
    os.execve(python, [python, "-m", "roost_edge.daemon", *sys.argv[1:]], environment)  # noqa: S606  # no shell


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    arguments_parser = parser()
    options = arguments_parser.parse_args(arguments)
    if bool(options.role) == bool(options.name):
        arguments_parser.error("name one role: its kind (ROLE), or its whole name (--name)")
    logs.setup(options.role or options.name)
    allocator.be_frugal()
    return status_of(lambda: _begin(options))


def _begin(options: argparse.Namespace) -> int:
    if options.die_with:
        process.die_with_parent(options.die_with)
    if options.name:
        return run_named(options)
    loaded = loading.load(options.settings)
    which = {"task": options.task, "model": options.model, "camera": options.camera}
    role = resolve(loaded, options.role, **which, replica=options.replica)
    slot = {"a": "", "b": "b"}.get(options.slot)
    role, standing = placed(loaded.layout, role, slot, standby=options.standby)
    logs.setup(role.name, loaded.node.log_level)
    asyncio.run(run(loaded, role, options.fault, standing=standing, settings_file=options.settings))
    return 0


if __name__ == "__main__":
    process.leave(main())
