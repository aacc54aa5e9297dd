"""A device in one event loop: real Mosquitto, injector, rendezvous and proxy; the model is a stub that echoes."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from task_device import schedule

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import ModelState, Output, Request, Score, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.proxy.role import RequestProxy
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.server.role import RendezvousServer, ServerSettings

TASK = "nest"
CLOCK = SystemClock()
SCHEDULE = schedule((0, ["champion"]), task=TASK)


class World:
    """What a test has in hand. The model answers each request after `delay_ms` with its number or picture's size."""

    def __init__(self, broker: PrivateBroker, folder: Path, name: str) -> None:
        self.broker = broker
        self.frames = FrameStore(folder / "frames")
        self.own_frames = folder / "proxy" / "frames"
        self.folder = folder
        self.topics = NodeTopics("px-" + hashlib.sha256(name.encode()).hexdigest()[:12])
        self.delay_ms = 0.0
        self.silent = False
        self.seen: list[Request] = []
        self.asked = asyncio.Event()
        self.proxy: RequestProxy
        self.http: aiohttp.ClientSession
        self._bus = self.bus("model")
        self._bus.subscribe(self.flow.input, self._arrived)

    @property
    def flow(self) -> Any:
        return self.topics.task(TASK)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def ask_url(self) -> str:
        return f"{self.url}/v1/tasks/{TASK}/requests"

    @property
    def stream_url(self) -> str:
        return f"{self.url}/v1/tasks/{TASK}/stream"

    def bus(self, name: str) -> MqttBus:
        return MqttBus(self.broker.settings(), f"{self.topics.node}-{name}")

    async def model_up(self) -> None:
        await self._bus.start()
        wall = CLOCK.wall_ns()
        ready = ModelState(timestamp=wall // MS, message_id=new_id(wall), model="champion", state="ready", session=1)
        await self._bus.publish(self.flow.model_state("champion"), encode(ready), retain=True)

    async def model_down(self) -> None:
        await self._bus.stop()

    def _arrived(self, delivery: Delivery) -> None:
        request = decode(delivery.payload)
        assert isinstance(request, Request)
        self.seen.append(request)
        self.asked.set()
        delivery.ack()
        if not self.silent:
            delay = self.delay_ms or (request.input.values or {}).get("delayMs", 0)
            asyncio.get_running_loop().call_later(delay / 1000, self._answer, request)

    def _answer(self, request: Request) -> None:
        frame = request.input.frame
        label = str((request.input.values or {}).get("number", "?"))
        if frame is not None:
            label = f"{frame.width}x{frame.height}, {len(self.frames.read(frame))} bytes"
        wall = CLOCK.wall_ns()
        score = Score(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request.request_id,
            model="champion",
            version="1",
            outputs=[Output(label=label, score=0.9)],
        )
        self._bus.publish(self.flow.scores("champion"), encode(score))

    async def values(self, number: int = 1, **more: Any) -> tuple[int, Any]:
        """Ask about a number; the status and the body of the answer."""
        return await self.post({"input": {"values": {"number": number}}, **more})

    async def post(self, body: object, **headers: str) -> tuple[int, Any]:
        async with self.http.post(self.ask_url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def raw(self, *parts: bytes) -> bytes:
        """Bytes to the port, and everything that comes back until the proxy closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def device(
    broker: PrivateBroker, folder: Path, name: str, *, qa: bool = False, rendezvous: bool = True, **settings: Any
) -> AsyncIterator[World]:
    """A device of one task, ready to be asked."""
    world = World(broker, folder, name)
    stop, flow, device = asyncio.Event(), world.flow, world.topics
    world.proxy = RequestProxy(
        world.bus("proxy"),
        device,
        (TASK,),
        world.frames,
        world.own_frames,
        clock=CLOCK,
        session=1,
        qa=qa,
        settings=ProxySettings(**{"port": 0, "drain_ms": 100, **settings}),
    )
    roles: list[Any] = [world.proxy]
    if rendezvous:
        roles += [
            StateInjector(world.bus("injector"), flow, clock=CLOCK, node=device.node, session=1),
            RendezvousServer(
                world.bus("rendezvous"),
                flow,
                SCHEDULE,
                clock=CLOCK,
                journal=folder / "journal",
                settings=ServerSettings(qa=qa),
                node=device.node,
                session=1,
            ),
        ]
    running = [asyncio.ensure_future(role.run(stop)) for role in roles]
    await world.model_up()
    async with aiohttp.ClientSession() as world.http:
        try:
            await until(lambda: world.proxy.port)
            while rendezvous and not await healthy(world):
                pass
            yield world
        finally:
            stop.set()
            ended = await asyncio.gather(*running, return_exceptions=True)
            await world.model_down()
            assert not [error for error in ended if error is not None]


async def until(condition: Callable[[], object]) -> None:
    """Look at every turn of the loop."""
    while not condition():  # noqa: ASYNC110 — the condition may be about a counter or another process
        await asyncio.sleep(0)


async def healthy(world: World) -> bool:
    """Broker and rendezvous there, the schedule and the model known."""
    async with world.http.get(world.url + "/healthz") as response:
        ok = response.status == 200
    async with world.http.get(f"{world.url}/v1/tasks/{TASK}") as response:
        task = await response.json()
    return ok and task["slaMs"] is not None and bool(task["models"])


def lines(output: bytes) -> list[Any]:
    return [json.loads(line) for line in output.splitlines()]
