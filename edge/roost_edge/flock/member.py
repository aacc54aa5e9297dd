"""A member of a flock, just forked: from here on it is a process of one role like any other."""

import asyncio
import gc
import logging
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from roost_edge import logs
from roost_edge.one_role import FAILED, run, status_of
from roost_edge.processes import own_process
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.service_manager import ServiceManager
from roost_edge.settings.device import Settings

_log = logging.getLogger(__name__)


class Upwards(ServiceManager):
    """What it would tell systemd it tells the process that forked it."""

    def __init__(self, mouth: socket.socket, watchdog_s: float) -> None:
        super().__init__({})
        mouth.setblocking(False)  # a parent that does not listen must not stop a role
        self._mouth = mouth
        self.watchdog_s = watchdog_s

    @property
    def listens(self) -> bool:
        """Somebody always does."""
        return True

    def _send(self, text: str) -> None:
        try:
            self._mouth.send(text.encode(errors="replace"))
        except OSError as error:
            _log.warning("the flock could not be told %r: %s", text.partition("\n")[0], error)


def _before_its_parent() -> None:
    """When memory is short the kernel is to end a member, not the process that starts it again."""
    place = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):  # a process may always make itself a better victim; where it may not, well
        place.write_text(str(min(1000, int(place.read_text()) + 100)))


def be(settings: Settings, file: Path, role: RoleProcess, service: ServiceManager, parent: int) -> NoReturn:
    """Run the role, and end the process. Never returns into what the parent was doing."""
    status = FAILED
    try:
        own_process.die_with_parent(parent)
        _before_its_parent()
        gc.enable()
        logs.setup(role.name, settings.node.log_level)

        def work() -> int:
            asyncio.run(run(settings, role, "", service=service, settings_file=file))
            return 0

        status = status_of(work)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
