"""The OTA agent: asks the registry what is wanted of this device's lines, and brings it about (promise F8).

One `LineShell` for each line does the work; here is what they share: the broker, the registry's clock, what passes on
the topics, the report. The agent itself decides nothing about bundles: the signed roll-out documents do
(`roost_models.rollout.document`), and the device's own rules (`machine`).

It is asked by nobody in the flow and holds nobody up: what it counts it hears with QoS 0, and the broker keeps nothing
for it while it is away. The device goes on without it as it stands.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from roost_broker.announce import Announcer
from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import MS, Clock
from roost_broker.errors import Malformed, QueueFull, RoostError
from roost_broker.headers import new_header
from roost_broker.messages import Motion, OtaOrder, decode
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import CameraTopics, NodeTopics
from roost_broker.worker import Worker
from roost_edge.ota import events as e
from roost_edge.ota.busy import Busy
from roost_edge.ota.device_key import DeviceKey
from roost_edge.ota.goal import goal_of
from roost_edge.ota.line_shell import LineShell
from roost_edge.ota.lines import Line
from roost_edge.ota.listening import TaskEar
from roost_edge.ota.registry_desk import RegistryDesk, RegistryFailed
from roost_edge.ota.reporting import report
from roost_edge.ota.settings import OtaSettings
from roost_edge.ota.task_schedules import TaskSchedules
from roost_edge.processes.control import Control
from roost_models.registry.store import BundleStore

_log = logging.getLogger(__name__)
_COUNT_S = 2.0
"""How often the device looks at its own counts: what a return by its own rule may take longer."""
_LAST_WORD_S = 1.0
_LEAST_S = 3.0
"""Between two looks at the registry, however often somebody orders one: each is a process and a connection."""


class OtaAgent:
    """See the module. `shells`, `ears` and `schedules` are made by the composition; `bus` is not started."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        *,
        settings: OtaSettings,
        shells: Mapping[Line, LineShell],
        ears: Mapping[str, TaskEar],
        schedules: Mapping[str, TaskSchedules],
        cameras: tuple[CameraTopics, ...],
        desk: RegistryDesk,
        store: BundleStore,
        key: DeviceKey,
        thread: Worker,
        clock: Clock,
        session: int,
        role: str,
        counts: Counter[str],
        socket: Path,
    ) -> None:
        self._bus = bus
        self._device = device
        self._settings = settings
        self._shells = shells
        self._ears = ears
        self._schedules = schedules
        self._cameras = cameras
        self._desk = desk
        self._store = store
        self._key = key
        self._thread = thread
        self._clock = clock
        self._role = role
        self.counts = counts
        self._busy = Busy(settings.busy)
        self._problem = ""
        self._check = asyncio.Event()
        self._changed = asyncio.Event()
        self._untidy = False
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=lambda: counts)
        self._announcer = Announcer(bus, device, role, clock, counts)
        self._control = Control(socket, self._asked)

    # -- what the shells and commands call ---------------------------------------------------------------------------

    def changed(self) -> None:
        """A report would say something else."""
        self._changed.set()

    def tidy(self) -> None:
        """Bundles in no slot may go, as soon as nothing is half on the card."""
        self._untidy = True

    def say(self, kind: str, detail: str, data: dict[str, Any]) -> None:
        """A marker for people."""
        self._announcer.say(kind, detail, data)

    async def _asked(self, wish: dict[str, Any]) -> dict[str, Any]:
        """A command on this device; see `commands`."""
        from roost_edge.ota.commands import answer

        return answer(self, wish)

    @property
    def shells(self) -> Mapping[Line, LineShell]:
        """The lines at work."""
        return self._shells

    def check(self) -> None:
        """Ask the registry now."""
        self._check.set()

    def state(self) -> bytes:
        """The signed report."""
        head = new_header(self._clock, self._device.node, self._role)
        lines = [(line, shell.machine, self._ears[line.task].counters[line]) for line, shell in self._shells.items()]
        return self._key.sign(report(head, self._device.node, self._settings.tags, lines, self._problem))

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises what makes the broker unreachable for good."""
        self._subscribe()
        self._presence.starting()
        tasks: list[asyncio.Task[None]] = []
        try:
            if not await started_before(self._bus, stop):
                return
            await self._control.open()
            self._begin()
            tasks = [asyncio.create_task(work) for work in self._works()]
            self._presence.ready()
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for task in tasks:
                if task.done():
                    task.result()  # none of them ends by itself but with an error
            await self._last_word()
        except Exception as error:
            self._presence.failed(str(error))
            raise
        finally:
            await self._control.close()
            await cancel_and_wait(*tasks)
            for schedules in self._schedules.values():
                await schedules.close()
            self._thread.stop()
            await self._bus.stop(forget=True)

    def _works(self) -> list[Any]:
        return [shell.run() for shell in self._shells.values()] + [self._poll(), self._report(), self._count()]

    def _subscribe(self) -> None:
        for task, ear in self._ears.items():
            topics = self._device.task(task)
            self._bus.subscribe(topics.schedule, self._schedules[task].arrived)
            self._bus.subscribe(topics.all_model_states, self._eared(ear.model_state))
            self._bus.subscribe(topics.input, self._eared(self._counting(ear.request)), qos=0)
            self._bus.subscribe(topics.all_scores, self._eared(ear.score), qos=0)
            self._bus.subscribe(topics.all_results, self._eared(ear.result), qos=0)
            self._bus.subscribe(topics.alarms, self._eared(ear.alarms))
        for camera in self._cameras:
            self._bus.subscribe(camera.motion, self._eared(self._motion))
        self._bus.subscribe(self._device.request("ota"), self._eared(self._order))

    def _begin(self) -> None:
        """Let each line go on from how it stands."""
        now = self._clock.monotonic_ns()
        for line, shell in self._shells.items():
            self._schedules[line.task].stands(line, shell.machine.standing)
            self._ears[line.task].stands(line, shell.machine.standing)
            shell.tell(e.BusyChanged(bool(why := self._why(now)), why))
            shell.tell(e.Restarted(self._ears[line.task].ready(line)))

    async def _last_word(self) -> None:
        done = self._presence.stopped()
        if done is not None and self._bus.connected:
            with contextlib.suppress(TimeoutError, RoostError):
                await within(asyncio.shield(done), _LAST_WORD_S)

    # -- what arrives ------------------------------------------------------------------------------------------------

    def _eared(self, take: Callable[[Any, Delivery], None]) -> Callable[[Delivery], None]:
        """Unreadable messages are for those whose topic it is to report."""

        def heard(delivery: Delivery) -> None:
            with contextlib.suppress(Malformed):
                if delivery.payload:
                    take(decode(delivery.payload), delivery)
            delivery.ack()

        return heard

    def _counting(self, take: Callable[[Any, Delivery], None]) -> Callable[[Any, Delivery], None]:
        def heard(message: Any, delivery: Delivery) -> None:
            self._busy.request(self._clock.monotonic_ns())
            take(message, delivery)

        return heard

    def _motion(self, message: Any, _delivery: Delivery) -> None:
        if isinstance(message, Motion):
            self._busy.motion(message.camera, message.state == "on", self._clock.monotonic_ns())

    def _order(self, message: Any, _delivery: Delivery) -> None:
        if isinstance(message, OtaOrder):
            self.counts[f"order-{message.do}"] += 1
            (self._check if message.do == "check" else self._changed).set()

    # -- what goes on ------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        while True:
            await self._ask_registry()
            pause = self._settings.poll_s * (1 - random.random() / 3)  # noqa: S311  # spreads a fleet, hides nothing
            least = min(_LEAST_S, pause)
            await asyncio.sleep(least)
            with contextlib.suppress(TimeoutError):
                await within(self._check.wait(), pause - least)
            self._check.clear()

    async def _ask_registry(self) -> None:
        try:
            seen = await self._desk.look(tuple(self._shells))
        except RegistryFailed as error:
            self.counts[f"registry-{error.reason}"] += 1
            problem = str(error)
        else:
            self.counts["registry-asked"] += 1
            problem = "; ".join(seen.problems)
            documents = {(task, bundle): document for task, bundle, document in seen.documents}
            for line, shell in self._shells.items():
                document = documents.get((line.task, line.bundle))
                if document is not None:
                    shell.tell(e.DocumentSeen(goal_of(document, self._device.node, self._settings.tags)))
        if problem != self._problem:
            self._problem = problem
            self._changed.set()

    async def _report(self) -> None:
        """After every change, and now and then."""
        while True:
            self._changed.clear()
            with contextlib.suppress(QueueFull):
                self._bus.publish(self._device.ota, self.state(), retain=True)
            with contextlib.suppress(TimeoutError):
                await within(self._changed.wait(), self._settings.report_s)

    async def _count(self) -> None:
        """Look at what the bundles did, at what the device is busy with, and at the card."""
        said, busy = Counter[str](), self._why(self._clock.monotonic_ns())
        while True:
            await asyncio.sleep(_COUNT_S)
            why = self._why(self._clock.monotonic_ns())
            for line, shell in self._shells.items():
                if why != busy:
                    shell.tell(e.BusyChanged(bool(why), why))
                for trial in self._ears[line.task].tallies(line):
                    shell.tell(trial)
            busy = why
            if self._untidy and not any(shell.downloading for shell in self._shells.values()):
                self._untidy = False
                await self._remove_old()
            if said != self.counts:
                said = Counter(self.counts)
                self._presence.publish()

    async def _remove_old(self) -> None:
        kept = {content.digest for shell in self._shells.values() for content in shell.machine.standing.slots.values()}
        try:
            freed = await self._thread.call(self._store.keep_only, kept)
        except OSError as error:
            _log.warning("old bundles could not be removed: %s", error)
        else:
            _log.info("bundles in no slot were removed", extra={"fields": {"bytes": freed}})

    def _why(self, now: int) -> str:
        local = time.localtime(self._clock.wall_ns() // (1000 * MS))
        return self._busy.why(now, local.tm_hour * 60 + local.tm_min)
