"""The request proxy as a role: HTTP on one side, the device's bus on the other.

* Nothing is durable: whoever asks waits, and hears 503 when nothing came. Asked again with the same Idempotency-Key,
  the request has the same id, and whoever has answered it repeats that answer.
* It listens before the broker is there, so that `/healthz` can say so.
* A defect on the bus side ends the process, loudly; one in an HTTP handler costs that caller a 500.
"""

import asyncio
import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.errors import Malformed
from roost_broker.frames import FrameStore
from roost_broker.messages import ModelState, RoleState, ScheduleSet
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_broker.topics import NodeTopics
from roost_broker.worker import Worker
from roost_rendezvous.proxy.desk import Desk
from roost_rendezvous.proxy.device_view import DeviceView
from roost_rendezvous.proxy.front import Front
from roost_rendezvous.proxy.handlers import Handlers
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.proxy.shelf import Shelf

_log = logging.getLogger(__name__)


class RequestProxy:
    """Shell of the role `proxy`. `own_frames` is a folder beside the frame store, on the same file system."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        tasks: tuple[str, ...],
        frames: FrameStore,
        own_frames: Path,
        *,
        clock: Clock,
        session: int,
        qa: bool = False,
        settings: ProxySettings | None = None,
        role: str = "proxy",
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Since the process started: requests, results by cause, and every named outcome."""
        self.port = 0
        """Where it listens, once it does."""
        self._settings = settings or ProxySettings()
        self._bus = bus
        self._worker = Worker("frames")
        self._view = DeviceView(tasks)
        self._shelf = Shelf(frames, FrameStore(own_frames), budget_bytes=self._settings.frames_budget_mb * 1_000_000)
        topics = {task: device.task(task) for task in tasks}
        self._desk = Desk(
            bus,
            topics,
            self._view,
            self._shelf,
            self._worker,
            clock=clock,
            node=device.node,
            qa=qa,
            settings=self._settings,
            counts=self.counts,
        )
        self._front = Front(
            Handlers(self._desk, self._view, self._settings, self._worker).application(), self._settings
        )
        self._presence = RolePresence(bus, device, role, session=session, clock=clock, counts=self._counts_now)
        for task, flow in topics.items():
            bus.subscribe(flow.schedule, partial(self._said, task))
            bus.subscribe(flow.all_model_states, partial(self._said, task))
        bus.subscribe(device.all_roles, partial(self._said, ""))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises `PeerError` when the port is taken, and whatever is a defect."""
        fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bus.on_error(partial(_end_loudly, fatal))
        await self._worker.call(self._shelf.load)
        try:
            self.port = await self._front.start()
            address = f"http://{self._settings.host}:{self.port}"
            _log.info("HTTP on %s; %s/docs explains it", address, address)
            self._presence.starting(address)
            if await started_before(self._bus, stop):
                self._presence.ready(address)
                await self._work(stop, fatal)
                await self._front.stop()
                self._presence.stopped()
        finally:
            fatal.cancel()
            await self._front.stop()
            self._desk.close()
            self._worker.stop()
            await self._bus.stop()

    async def _work(self, stop: asyncio.Event, fatal: "asyncio.Future[None]") -> None:
        stopping, reporting = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._report())
        try:
            tasks: set[asyncio.Future[Any]] = {stopping, reporting, fatal}
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            stopping.cancel()
            reporting.cancel()

    async def _report(self) -> None:
        """Counts in the retained state, when they have changed."""
        said: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._settings.state_every_ms / 1000)
            counts = self._counts_now()
            if counts != said:
                said = counts
                self._presence.publish()

    def _counts_now(self) -> dict[str, int]:
        return {**self.counts, "in-flight": self._desk.in_flight}

    def _said(self, task: str, delivery: Delivery) -> None:
        """Something retained; an emptied topic says nothing that is not said otherwise."""
        if delivery.payload:
            try:
                message = messages.decode(delivery.payload)
            except Malformed:
                self.counts["states-unreadable"] += 1  # its owner's affair: the rendezvous sends the dead letter
            else:
                if isinstance(message, ModelState | RoleState | ScheduleSet):
                    self._view.take(task, message)
        delivery.ack()


def _end_loudly(fatal: "asyncio.Future[None]", _sentence: str, error: BaseException) -> None:
    if not fatal.done():
        fatal.set_exception(error)
