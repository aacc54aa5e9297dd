"""A device whose page is looked at: settings, archive and traces on the disk, a broker, a desk, and the role itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from device_folder import write_bundle, write_schedule
from label_world import TASK, Asked, archive, block

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.messages import Span, Trace, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_edge.desk.role import Desk
from roost_edge.page import password
from roost_edge.page.role import WebPage
from roost_edge.settings import loading
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.store import TraceStore

NODE, CAMERA, PASSWORD = "coop-1", "nest", "three birds in a nest"
HEN, EGG = ("hen", 0.97, "egg"), ("egg", 0.9, "hen")
SETTINGS = """\
# The coop beside the house.
[node]
name = "coop-1"
data = "data"
[broker]
port = {port}
username = "page"
password = "PLANTED-broker-password"
[tasks.henhouse]
schedule = "schedule.toml"
models.bright.bundle = "bright"
[cameras.nest]
task = "henhouse"
[cameras.nest.motion]
min_area = 0.01  # no flies
[page]
port = 0
live_every_ms = 100
"""
REPORT = {
    "schema": "roost.doctor/1",
    **{"node": NODE, "version": "1", "timestamp": 1_800_000_000_000, "tookMs": 5, "ok": False},
    "checks": [
        {"name": "storage", "status": "ok", "found": "Enough."},
        {"name": "clock", "status": "fail", "found": "It is wrong.", "remedy": "Set it."},
    ],
}


class World:
    """One device with its page; the ids of its archived requests are the oldest first."""

    def __init__(self, folder: Path, port: int, asked: list[Asked] | None = None) -> None:
        self.folder = folder / "device"
        self.folder.mkdir()
        write_bundle(self.folder, "bright")
        write_schedule(self.folder, "bright")
        self.file = self.folder / "roost.toml"
        self.file.write_text(SETTINGS.format(port=port), encoding="utf-8")
        self.data = self.folder / "data"
        self.ids = archive(self.data / "archive" / TASK, asked or _asked())
        self._trace(self.ids[-1])
        self.url = ""
        self.served: WebPage | None = None

    def _trace(self, request: str) -> None:
        store = TraceStore(self.data / "traces.db", TraceSettings())
        spans = {
            "rendezvous": ("wait", 0, 90),
            "model champion": ("evaluate", 5, 80),
            "model slow": ("evaluate", 5, 400),
        }
        with store.transaction():
            for nth, (component, (name, start, end)) in enumerate(spans.items()):
                head = {"timestamp": 1_800_000_000_000, "message_id": f"{nth:032x}", "request_id": request}
                span = Span(name=name, start_ns=start * 10**6, duration_ns=(end - start) * 10**6)
                trace = Trace(**head, component=component, boot="b" * 32, spans=[span])  # type: ignore[arg-type]  # text
                store.put(request, TASK, 1_800_000_000_000, {f"{nth:032x}": encode(trace)})
        store.close()

    def set_password(self) -> None:
        password.write(self.data / "page" / "password", PASSWORD)

    def picture(self, nth: int = -1) -> str:
        return f"{self.url}/gallery/{TASK}/{self.ids[nth]}"


def _asked() -> list[Asked]:
    shades = [block((20 * nth % 250, 90, 40), (320, 240)) for nth in range(30)]
    return [Asked(one, {"champion": EGG if nth % 5 == 0 else HEN, "canary": EGG}) for nth, one in enumerate(shades)]


@asynccontextmanager
async def serving(world: World, port: int, *, begun: bool = True) -> AsyncIterator[WebPage]:
    """The role in this process. Not `begun`: there is no broker to wait for."""
    settings = loading.load(world.file)
    bus = MqttBus(BrokerSettings(port=port), "coop-1-page")
    served = WebPage(bus, settings, clock=SystemClock(), session=1, file=world.file)
    stop = asyncio.Event()
    working = asyncio.ensure_future(served.run(stop))
    try:
        while not served.port or (begun and not served.house.view.broker):
            assert not working.done()
            await asyncio.sleep(0)
        world.url, world.served = served.address, served
        yield served
    finally:
        stop.set()
        await working


@asynccontextmanager
async def device(folder: Path, broker: PrivateBroker, *, locked: bool = True) -> AsyncIterator[tuple[World, MqttBus]]:
    """A page behind a password (or not), and a client to speak and to listen with."""
    world = World(folder, broker.port)
    if locked:
        world.set_password()
    async with AsyncExitStack() as stack:
        client = MqttBus(BrokerSettings(port=broker.port), "somebody")
        await stack.enter_async_context(serving(world, broker.port))
        yield world, client
        await client.stop(forget=True)


@asynccontextmanager
async def a_desk(world: World, port: int) -> AsyncIterator[None]:
    """The desk role, with an examination of the test's own."""
    settings = loading.load(world.file)

    async def examine(_: Any) -> dict[str, Any]:
        return REPORT

    desk = Desk(
        MqttBus(BrokerSettings(port=port), "coop-1-desk"),
        settings.topics,
        examine=examine,
        about=dict,
        clock=SystemClock(),
        session=1,
    )
    stop = asyncio.Event()
    working = asyncio.ensure_future(desk.run(stop))
    assert world.served is not None
    while "desk" not in world.served.house.view.roles:
        assert not working.done()
        await asyncio.sleep(0)
    try:
        yield
    finally:
        stop.set()
        await working


def into(heard: "asyncio.Queue[Any]") -> Any:
    """A handler that decodes."""

    def take(delivery: Delivery) -> None:
        delivery.ack()
        heard.put_nowait(decode(delivery.payload))

    return take
