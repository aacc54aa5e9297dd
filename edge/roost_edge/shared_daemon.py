"""Several roles in one process: `aside`, see `processes.together`.

1. A role that fails is started again here, under the policy that a supervisor has for processes; the others go on.
2. The process has started when no role is `starting` any more: one that cannot work must not keep the others from
   being of use.
3. The watchdog is pinged while none of them is stuck.
"""

import asyncio
import logging
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from roost_broker.cancellation import within
from roost_broker.clock import SECOND, SystemClock
from roost_broker.errors import RoostError
from roost_broker.presence import STATE_TOLD
from roost_broker.stopping import told_to_stop
from roost_broker.usage import SHARED_BY
from roost_edge.logs import ROLE
from roost_edge.processes.plan import RoleProcess
from roost_edge.processes.restart import RestartPolicy, after_exit
from roost_edge.processes.service_manager import ServiceManager, Watched
from roost_edge.roles import Shell, compose
from roost_edge.settings.device import Settings

log = logging.getLogger(__name__)


async def run_together(settings: Settings, file: Path, roles: Sequence[RoleProcess], service: ServiceManager) -> None:
    """Run all of them until a signal arrives. `file` is where the settings were read from."""
    stop = told_to_stop()
    house = _House(settings, file, service, stop, [role.name for role in roles])
    log.info("begins", extra={"fields": {"pid": os.getpid(), "roles": len(roles)}})
    SHARED_BY.set(len(roles))
    pinging = asyncio.create_task(service.ping(house.stuck))
    try:
        async with asyncio.TaskGroup() as group:
            for role in roles:
                group.create_task(house.keep(role), name=role.name)
            group.create_task(_tell_stopping(service, stop))
    finally:
        pinging.cancel()
    log.info("stopped in order")


async def _tell_stopping(service: ServiceManager, stop: asyncio.Event) -> None:
    await stop.wait()
    service.stopping()


class _House:
    """What the roles of one process have in common."""

    def __init__(
        self, settings: Settings, file: Path, service: ServiceManager, stop: asyncio.Event, names: Sequence[str]
    ) -> None:
        self._settings = settings
        self._file = file
        self._service = service
        self._policy = RestartPolicy()
        self._stop = stop
        self._clock = SystemClock()
        self._shells: dict[str, Shell] = {}
        self._states = dict.fromkeys(names, "starting")

    def stuck(self) -> str:
        """Of the first that is."""
        return next((why for one in self._shells.values() if isinstance(one, Watched) and (why := one.stuck())), "")

    async def keep(self, role: RoleProcess) -> None:
        """Start a role, again and again, until told to stop. Call it in a task of its own: it has its own context."""
        ROLE.set(role.name)
        STATE_TOLD.set(lambda state, _detail: self._told(role.name, state))
        failures = 0
        while not self._stop.is_set():
            started = self._clock.monotonic_ns()
            await self._run_once(role)
            if self._stop.is_set():
                return
            self._told(role.name, "failed")
            now = self._clock.monotonic_ns()
            decision = after_exit(
                self._policy,
                failures=failures,
                started_ns=started,
                now=now,
                chance=random.random(),  # noqa: S311  # a spread, not a secret
            )
            failures, wait_s = decision.failures, max(0, decision.due_ns - now) / SECOND
            log.error("starts again in %.1f s", wait_s)
            with suppress(TimeoutError):
                await within(self._stop.wait(), wait_s)

    async def _run_once(self, role: RoleProcess) -> None:
        try:
            with compose(self._settings, role, settings_file=self._file) as shell:
                self._shells[role.name] = shell
                await shell.run(self._stop)
            if not self._stop.is_set():
                log.error("the role ended by itself; the lines before this one have the cause")
        except RoostError as error:
            log.error(str(error), extra={"fields": {"kind": type(error).__name__}})  # noqa: TRY400  # the sentence says it all
        except Exception as error:
            log.exception("failed: %s", f"{type(error).__name__}: {error}")  # noqa: TRY401  # the line alone says what
        finally:
            self._shells.pop(role.name, None)

    def _told(self, name: str, state: str) -> None:
        self._states[name] = state
        waiting = [one for one, known in self._states.items() if known == "starting"]
        told = ", ".join(f"{one} {known}" for one, known in self._states.items())
        self._service.told("starting" if waiting else "ready", told)
