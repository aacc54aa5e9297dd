"""A henhouse whose champion learnt one breed under another's name: real models, real roles, a real Mosquitto.

Only the watch's time is virtual: minutes pass for it from one picture to the next, and what it would know after four
days is made of what the device really said, by telling the answers to each picture over and over again by chance.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec import structs
from task_device import NODE, SLA_MS, Device

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SECOND, SystemClock, VirtualClock, boot_id
from roost_broker.errors import Malformed
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
from roost_broker.mqtt import MqttBus
from roost_broker.topics import TaskTopics
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Observed, Said
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.steady import Steady
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.analytics.watch.windowing import Windowing
from roost_rendezvous.monitor import Monitor
from roost_rendezvous.monitor.watch_cards import Cards
from roost_rendezvous.monitor.watch_desk import WatchDesk

TASK = "henhouse"
MODELS = ("champion", "canary")
EVERY = 240 * SECOND
SETTINGS = AnalyticsSettings(
    look_s=240,
    settle_ms=10_000,
    alarms=AnalyticsAlarmSettings(least_history_days=1.5, least_calibration_hours=24.0, least_events_per_hour=0.0),
)
"""What is learnt in weeks, in days."""
HISTORY = 96 * 3_600 * SECOND
_CLOCK = SystemClock()
_BOOT = "rehearsal"


class Camera:
    """Asks as a capture does, hears all that is said of it, and what the watch tells."""

    def __init__(self, device: Device) -> None:
        self.flow: TaskTopics = device.topics.task(TASK)
        self.words: defaultdict[str, dict[str, Message]] = defaultdict(dict)
        self.alarms: list[Alarm] = []
        self.ready: set[tuple[str, str]] = set()
        """Model or role with its version, of those that said so."""
        self._news = asyncio.Event()
        self._seq = 0
        self.bus = MqttBus(structs.replace(device.broker.settings(), session_expiry_s=0), f"{NODE}-nest")
        for topic in (
            *(self.flow.input, self.flow.all_scores, self.flow.all_results, self.flow.all_model_states),
            *(self.flow.alarm, device.topics.alarm, device.topics.all_roles),
        ):
            self.bus.subscribe(topic, self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        with suppress(Malformed):
            match message := decode(delivery.payload):
                case Alarm():
                    self.alarms.append(message)
                case ModelState(state="ready"):
                    self.ready.add((message.model, message.version))
                case RoleState(state="ready"):
                    self.ready.add((message.role, ""))
                case Request():
                    self.words[message.request_id]["asked"] = message
                case Score():
                    self.words[message.request_id][message.model] = message
                case Result():
                    self.words[message.request_id]["result"] = message
        delivery.ack()
        self._news.set()

    async def show(self, frame: FrameRef) -> str:
        """Ask about a picture; returns when every model has answered and the result is there."""
        wall, self._seq = _CLOCK.wall_ns(), self._seq + 1
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self.flow.results("nest"),
            deadline_ms=SLA_MS,
            issued=Issued(boot=boot_id(), seq=self._seq, monotonic_ns=_CLOCK.monotonic_ns()),
            tags={"camera": "nest"},
            input=Input(frame=frame),
        )
        await self.bus.publish(self.flow.raw, encode(request))
        await self.until(lambda: {"asked", "result", *MODELS} <= self.words[request.request_id].keys())
        return request.request_id

    async def until(self, condition: Callable[[], object]) -> None:
        """A generous guard against hanging."""
        async with asyncio.timeout(120):
            while not condition():
                self._news.clear()
                await self._news.wait()


def learn(camera: Camera, shown: list[list[str]], seed: int) -> Watching:
    """A watch that has seen what the device said of these pictures, told by chance for `HISTORY`. `shown`: request ids
    of each label's pictures.
    """
    chance, watch, clock = random.Random(seed), Watching(SETTINGS, Windowing()), begin()
    end = clock.wall_ns()
    now, number = end - HISTORY, 0
    while now < end:
        now, number = now + round(EVERY * chance.uniform(0.5, 1.5)), number + 1
        told = camera.words[chance.choice(chance.choice(shown))]
        for word in ("asked", *MODELS, "result"):
            message = told[word]
            one = observe(message, TASK, now, boot=_BOOT)
            if one is not None and now < end:
                watch.handle(_again(one, f"{number:032x}", now, word))
    return watch


def _again(one: Observed, request_id: str, now: int, word: str) -> Observed:
    assert isinstance(one, Asked | Said | Decided)
    return structs.replace(one, request_id=request_id, message_id=f"{request_id}-{word}", heard=now)


def begin() -> VirtualClock:
    """A month from now, so that no message's own time can be meant."""
    return VirtualClock(monotonic_ns=10**15, wall_ns=_START)


_START = time.time_ns() // SECOND * SECOND + 30 * 86_400 * SECOND


@asynccontextmanager
async def watching(device: Device, camera: Camera, folder: Path, learnt: Watching) -> AsyncIterator[VirtualClock]:
    """The monitor with what was learnt on its card, on the virtual clock that it gives."""
    clock = begin()
    cards = Cards(folder, SETTINGS, Counter())
    steady = Steady(_BOOT, clock.monotonic_ns(), clock.wall_ns(), credible=True)
    cards.write([], [], [], steady.snapshot(), learnt.snapshot(), [], clock.wall_ns())
    cards.close()
    bus = MqttBus(structs.replace(device.broker.settings(), session_expiry_s=0), f"{NODE}-{folder.name}")

    def desk(counts: Counter[str]) -> WatchDesk:
        how = {"clock": clock, "counts": counts, "settings": SETTINGS, "role": folder.name, "boot": _BOOT}
        return WatchDesk(bus, device.topics, (TASK,), folder, **how)  # type: ignore[arg-type]  # as a dict

    flows = [device.topics.task(TASK)]
    role = Monitor(bus, flows, folder / "traces.db", clock=clock, node=NODE, session=1, role=folder.name, watch=desk)
    stop = asyncio.Event()
    running = asyncio.create_task(role.run(stop))
    try:
        await camera.until(lambda: (folder.name, "") in camera.ready)
        yield clock
    finally:
        stop.set()
        await running
