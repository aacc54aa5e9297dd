"""One role in this process, from its composition to its exit status; how it became a process is others' business."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from roost_broker.errors import Misuse, RoostError
from roost_broker.presence import STATE_TOLD
from roost_broker.stopping import told_to_stop
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.service_manager import ServiceManager, Watched
from roost_edge.processes.slots import Standing
from roost_edge.roles import compose
from roost_edge.settings.device import Settings

log = logging.getLogger("roost_edge.daemon")

FAILED = 1
MISUSE = 2


async def run(
    role_settings: Settings,
    role: RoleProcess,
    fault: str,
    *,
    standing: Standing = "alone",
    service: ServiceManager | None = None,
    settings_file: Path | None = None,
) -> None:
    """Compose the role and run it until a signal arrives or it fails. `service` is told how it stands."""
    stop = told_to_stop()
    service = service or ServiceManager({})
    STATE_TOLD.set(service.told)
    with compose(role_settings, role, fault=fault, standing=standing, settings_file=settings_file) as shell:
        log.info("begins", extra={"fields": {"pid": os.getpid()}})
        beside = [
            asyncio.create_task(service.ping(shell.stuck if isinstance(shell, Watched) else lambda: "")),
            asyncio.create_task(_tell_stopping(service, stop)),
        ]
        try:
            await shell.run(stop)
        finally:
            for task in beside:
                task.cancel()
    if not stop.is_set():
        raise RoostError("The role ended by itself.", "See the lines before this one for the cause.")
    log.info("stopped in order")


async def _tell_stopping(service: ServiceManager, stop: asyncio.Event) -> None:
    await stop.wait()
    service.stopping()


def status_of(work: Callable[[], int]) -> int:
    """What `work` returns, or the exit status of what it raises, which is told in one line."""
    try:
        return work()
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
