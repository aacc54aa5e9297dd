"""One role as a process: `python -m roost_edge.daemon ROLE [--task T] [--model M] [--camera C] --settings FILE`.

systemd and the supervisor start this; people use `roost run ROLE`, which becomes it. SIGTERM and SIGINT end it in
order with status 0. A fatal error is one clear line and status 1: it dies loudly and is started again. Misuse
(settings or arguments that cannot work) is status 2. It imports neither typer nor rich, and what a role needs only
when it is that role.
"""

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from roost_broker.errors import Misuse, RoostError
from roost_broker.stopping import told_to_stop
from roost_edge import logs
from roost_edge.processes import own_process as process
from roost_edge.processes.plan import KINDS, RoleProcess, resolve
from roost_edge.processes.slots import Standing, placed
from roost_edge.roles import compose
from roost_edge.settings import loading
from roost_edge.settings.device import Settings

log = logging.getLogger("roost_edge.daemon")

FAILED = 1
MISUSE = 2


def parser() -> argparse.ArgumentParser:
    """The arguments, as `roost run` passes them on."""
    arguments = argparse.ArgumentParser(prog="roost run", description="Run one role in the foreground.")
    arguments.add_argument("role", choices=KINDS, help="which role")
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


async def run(role_settings: Settings, role: RoleProcess, fault: str, *, standing: Standing = "alone") -> None:
    """Compose the role and run it until a signal arrives or it fails."""
    stop = told_to_stop()
    with compose(role_settings, role, fault=fault, standing=standing) as shell:
        log.info("begins", extra={"fields": {"pid": os.getpid()}})
        await shell.run(stop)
    if not stop.is_set():
        raise RoostError("The role ended by itself.", "See the lines before this one for the cause.")
    log.info("stopped in order")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parser().parse_args(arguments)
    logs.setup(options.role)
    try:
        if options.die_with:
            process.die_with_parent(options.die_with)
        loaded = loading.load(options.settings)
        named = {"task": options.task, "model": options.model, "camera": options.camera}
        role = resolve(loaded, options.role, **named, replica=options.replica)
        slot = {"a": "", "b": "b"}.get(options.slot)
        role, standing = placed(loaded.layout, role, slot, standby=options.standby)
        logs.setup(role.name, loaded.node.log_level)
        asyncio.run(run(loaded, role, options.fault, standing=standing))
    except Misuse as error:
        log.error(str(error))  # noqa: TRY400  # the sentence says it all; a trace would hide it
        return MISUSE
    except RoostError as error:
        log.error(str(error), extra={"fields": {"kind": type(error).__name__}})  # noqa: TRY400  # as above
        return FAILED
    except KeyboardInterrupt:  # before the loop took over the signals
        return 0
    except OSError as error:
        log.exception("%s. Check that this user may write there, and that the disk is not full.", error)  # noqa: TRY401  # as below
        return FAILED
    except Exception as error:
        log.exception("failed: %s", f"{type(error).__name__}: {error}")  # noqa: TRY401  # the line alone says what
        return FAILED
    return 0


if __name__ == "__main__":
    process.leave(main())
