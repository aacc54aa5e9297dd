"""A henhouse in which days pass in seconds: the real roles of one task over a real Mosquitto, on one virtual clock.

Injector, rendezvous, two models and the monitor are the shipped ones, each with its own session. They live in the
test's process, so that all of them take the time from the same clock. It moves when everybody has answered and at no
other moment: however slow the machine is, no deadline passes, and no duration is any other than nothing.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from roost_broker.bus import Delivery
from roost_broker.cancellation import within
from roost_broker.clock import MS, SECOND, VirtualClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import (
    Alarm,
    FrameRef,
    Input,
    Issued,
    Message,
    ModelState,
    Request,
    Result,
    RoleState,
    Score,
    decode,
    encode,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_edge.capture.figures import figures
from roost_edge.capture.jpeg import jpeg_of
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.choose import open_source
from roost_edge.sources.faults import CameraFault
from roost_edge.sources.settings import CameraSettings
from roost_models.bundle.folder import Bundle
from roost_models.scaffold.role import Scaffold
from roost_models.scaffold.settings import ScaffoldSettings, receive_maximum
from roost_rendezvous import schedule as schedules
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.monitor import Monitor
from roost_rendezvous.monitor.watch_desk import WatchDesk
from roost_rendezvous.server.role import RendezvousServer
from roost_rendezvous.server.settings import ServerSettings
from roost_rendezvous.traces.settings import TraceSettings

NODE, TASK, CAMERA = "coop-1", "henhouse", "nest"
MODELS = ("champion", "canary")
SLA_MS = 2_000
EVERY_NS = 240 * SECOND
SETTINGS = AnalyticsSettings(
    look_s=240,
    alarms=AnalyticsAlarmSettings(least_history_days=1.5, least_calibration_hours=24.0, least_events_per_hour=0.0),
)
"""The product's own knobs: what is learnt in weeks, in days, from a picture every four minutes."""
_SELDOM_MS = 3_600_000
"""States with memory and processor time are told when they change: here they would be those of the test."""


_BEHIND = 5
"""Pictures."""
_GUARD_S = 600
"""Against hanging: it is no expectation."""


class Shown(NamedTuple):
    """A picture as the camera gave it."""

    frame: FrameRef
    figures: dict[str, float]


class Role(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


def taken(pictures: Sequence[Path], store: FrameStore, *faults: CameraFault) -> list[Shown]:
    """What a camera with these faults gives of each folder's pictures, through capture's own encoding and figures."""
    found = []
    for folder in pictures:
        settings = CameraSettings(source="folder", path=str(folder), realtime=False, faults=faults)
        source = open_source(settings, VirtualClock())
        source.open()
        while (frame := source.read()) is not None:
            jpeg = jpeg_of(replace(frame, encoded=None), CaptureSettings())
            found.append(Shown(store.put(jpeg.data, width=jpeg.width, height=jpeg.height), figures(frame)))
        source.close()
    return found


class Henhouse:
    """One device while it is up, with a camera that asks about one picture after the other and hears what is said."""

    def __init__(self, folder: Path, broker: PrivateBroker, clock: VirtualClock) -> None:
        self.clock, self.folder = clock, folder
        self.frames = FrameStore(folder / "frames")
        self.device = NodeTopics(NODE)
        self.flow = self.device.task(TASK)
        self.said: defaultdict[str, dict[str, Message]] = defaultdict(dict)
        self.alarms: list[Alarm] = []
        self._ready: Counter[str] = Counter()
        self._monitor: dict[str, int] = {}
        """What it counts."""
        self._news = asyncio.Event()
        self._broker = broker
        self._number = 0
        self._stops: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        self.bus = MqttBus(broker.settings(), f"{NODE}-camera")
        for topic in (
            *(self.flow.results(CAMERA), self.flow.all_scores, self.flow.all_model_states, self.flow.alarm),
            *(self.device.alarm, self.device.all_roles),
        ):
            self.bus.subscribe(topic, self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        with suppress(Malformed):
            match message := decode(delivery.payload):
                case Result():
                    self.said[message.request_id]["result"] = message
                case Score():
                    self.said[message.request_id][message.model] = message
                case Alarm():
                    self.alarms.append(message)
                case ModelState(state="ready"):
                    self._ready[f"{message.model} {message.version}"] += 1
                case RoleState(state="ready"):
                    self._ready[message.role] += 1
                    if message.role == "monitor":
                        self._monitor = dict(message.counts)
        delivery.ack()
        self._news.set()

    @property
    def opened(self) -> list[Alarm]:
        """Alarms that were told."""
        return [one for one in self.alarms if one.change == "opened"]

    @property
    def open(self) -> set[str]:
        """Those that are not over."""
        over = {one.alarm.alarm_id for one in self.alarms if one.change == "ended"}
        return {one.alarm.alarm_id for one in self.opened} - over

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait; the bound is a guard against hanging. A role that ended says why."""
        async with asyncio.timeout(_GUARD_S):
            while not condition():
                for _, running in self._stops.values():
                    if running.done():
                        running.result()
                self._news.clear()
                await self._news.wait()

    async def show(self, picture: Shown) -> None:
        """Ask, and wait until everybody has said everything. The monitor may be a few pictures behind, not more."""
        wall, self._number = self.clock.wall_ns(), self._number + 1
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self.flow.results(CAMERA),
            deadline_ms=SLA_MS,
            issued=Issued(boot=boot_id(), seq=self._number, monotonic_ns=self.clock.monotonic_ns()),
            tags={"camera": CAMERA},
            input=Input(frame=picture.frame, values={"picture": picture.figures}),
        )
        await self.bus.publish(self.flow.raw, encode(request))
        await self.until(lambda: self.said[request.request_id].keys() >= {"result", *MODELS})
        await self._handled(self._number - _BEHIND)

    async def rest(self) -> None:
        """Until the monitor has handled all of it, and looked.

        Time goes on meanwhile, by seconds: what reaches the monitor after the step is a backlog to it for so long.
        """
        self.clock.advance(EVERY_NS)
        async with asyncio.timeout(_GUARD_S):
            while self._monitor.get("watch-rows", 0) < self._number:
                self._news.clear()
                with suppress(TimeoutError):
                    await within(self._news.wait(), 0.5)
                self.clock.advance(4 * SECOND)

    async def _handled(self, requests: int) -> None:
        await self.until(lambda: self._monitor.get("watch-rows", 0) >= requests)

    # -- its roles ---------------------------------------------------------------------------------------------------

    async def start(self, name: str, role: Role, ready: str = "") -> None:
        """Until it is ready."""
        stop = asyncio.Event()
        before = self._ready[ready or name]
        running = asyncio.create_task(role.run(stop), name=name)
        running.add_done_callback(lambda _: self._news.set())
        self._stops[name] = stop, running
        await self.until(lambda: self._ready[ready or name] > before)

    async def end(self, name: str) -> None:
        stop, running = self._stops.pop(name)
        stop.set()
        await running

    async def start_model(self, name: str, bundle: Bundle) -> None:
        """Or another version of it, when the one before has ended."""
        scaffold = Scaffold(
            self._session(f"model-{name}", receive_maximum=receive_maximum(bundle)),
            self.flow,
            name,
            bundle,
            self.frames,
            clock=self.clock,
            node=NODE,
            session=1,
            settings=ScaffoldSettings(state_interval_ms=_SELDOM_MS),
        )
        await self.start(name, scaffold, f"{name} {bundle.manifest.version}")

    async def start_all(self, champion: Bundle, canary: Bundle) -> None:
        own: dict[str, Any] = {"clock": self.clock, "node": NODE, "session": 1}
        plan = schedules.parse(
            {
                **{"task": TASK, "sla_ms": SLA_MS, "ignore": ["canary"]},
                **{"step": [{"after_ms": 0, "accept": ["champion"]}]},
                **{"default": {"after_ms": SLA_MS * 4 // 5, "label": "unknown"}},
            }
        )
        journal, seldom = self.folder / "journal", ServerSettings(state_every_ms=_SELDOM_MS)
        server = RendezvousServer(self._session("rendezvous"), self.flow, plan, journal=journal, settings=seldom, **own)
        await self.start(f"rendezvous-{TASK}", server)
        await self.start(f"injector-{TASK}", StateInjector(self._session("injector"), self.flow, **own))
        await self.start_model("champion", champion)
        await self.start_model("canary", canary)
        bus = self._session("monitor")

        def watch(counts: Counter[str]) -> WatchDesk:
            return WatchDesk(
                *(bus, self.device, (TASK,), self.folder / "analytics"),
                clock=self.clock,
                counts=counts,
                settings=SETTINGS,
            )

        often = TraceSettings(flush_ms=100)
        monitor = Monitor(bus, [self.flow], self.folder / "traces.db", settings=often, watch=watch, **own)
        await self.start("monitor", monitor)
        await self.until(lambda: self._monitor.get("watch-behind", 1) == 0)

    async def end_all(self) -> None:
        for name in reversed(list(self._stops)):
            await self.end(name)

    def _session(self, name: str, **options: Any) -> MqttBus:
        return MqttBus(self._broker.settings(), f"{NODE}-{name}", **options)


@asynccontextmanager
async def henhouse(
    folder: Path, broker: PrivateBroker, clock: VirtualClock, champion: Bundle, canary: Bundle
) -> AsyncIterator[Henhouse]:
    """Up while the block lasts. What the monitor knows already lies in `folder`."""
    house = Henhouse(folder, broker, clock)
    await house.bus.start()
    try:
        await house.start_all(champion, canary)
        yield house
    finally:
        await house.end_all()
        await house.bus.stop()


async def days(
    house: Henhouse, pictures: Sequence[Shown], count: int, chance: random.Random, *, until_alarm: bool = False
) -> None:
    """So many pictures, by chance, one about every four minutes."""
    for _ in range(count):
        house.clock.advance(round(EVERY_NS * chance.uniform(0.5, 1.5)))
        await house.show(chance.choice(pictures))
        if until_alarm and house.opened:
            return
