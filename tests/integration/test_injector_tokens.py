"""Injectors that hand over on a real Mosquitto: the order of one session and of two is the broker's affair."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, RoleState, Token, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.presence import role_will
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_rendezvous.injector.role import StateInjector

pytestmark = pytest.mark.broker

Run = Callable[..., Any]
CLOCK = SystemClock()
NODE, OLD, NEW = "handing", "injector-nest", "injector-nest-b"
DEVICE = NodeTopics(NODE)
TASK = DEVICE.task("nest")


class World:
    """Somebody who asks and reads, and injectors by role name."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.inputs: list[int | str] = []
        self.states: dict[str, RoleState] = {}
        self.running: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self.asked = 0
        self.news = asyncio.Event()
        self.bus = self._bus("outside")
        self.bus.subscribe(TASK.input, self._input)
        self.bus.subscribe(DEVICE.all_roles, self._state)

    def _bus(self, name: str, **options: Any) -> MqttBus:
        return MqttBus(BrokerSettings(port=self.port, session_expiry_s=60), f"{NODE}-{name}", **options)

    def _input(self, delivery: Delivery) -> None:
        loose = msgspec.json.decode(delivery.payload)
        self.inputs.append(loose["issued"]["seq"] if "issued" in loose else loose["kind"])
        delivery.ack()
        self.news.set()

    def _state(self, delivery: Delivery) -> None:
        message = decode(delivery.payload)
        if isinstance(message, RoleState):
            self.states[message.role] = message
        delivery.ack()
        self.news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    async def injector(self, role: str, *, standby: bool = False) -> asyncio.Event:
        injector = StateInjector(
            self._bus(role, will=role_will(DEVICE, role, 1, CLOCK)),
            TASK,
            clock=CLOCK,
            node=NODE,
            session=1,
            role=role,
            standby=standby,
            watching=self._bus(f"{role}-watch") if standby else None,
            snapshots=self.folder,
        )
        self.states.pop(role, None)
        stop = asyncio.Event()
        self.running[role] = asyncio.ensure_future(injector.run(stop)), stop
        await self.until(lambda: role in self.states and self.states[role].state == "ready")
        return stop

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.asked += 1
            wall = CLOCK.wall_ns()
            request = Request(
                timestamp=wall // MS,
                message_id=new_id(wall),
                request_id=new_id(wall),
                return_address=TASK.results("outside"),
                deadline_ms=2000,
                issued=Issued(boot=boot_id(), seq=self.asked, monotonic_ns=CLOCK.monotonic_ns()),
                input=Input(values={}),
            )
            self.bus.publish(TASK.raw, encode(request))

    def token(self, kind: Literal["snapshot", "transition"], old: str, new: str) -> None:
        wall = CLOCK.wall_ns()
        header = {"timestamp": wall // MS, "message_id": new_id(wall), "handover_id": new_id(wall)}
        token = Token(**header, kind=kind, component="injector", old=old, new=new, location="x")  # type: ignore[arg-type]  # as the header names them
        self.bus.publish(TASK.raw, encode(token))


def test_under_load_three_injectors_one_after_the_other_lose_double_and_disorder_nothing(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def story() -> None:
        world = World(own_mosquitto.port, tmp_path)
        await world.bus.start()
        ended = await world.injector(OLD)
        for old, new in ((OLD, NEW), (NEW, OLD)):
            world.ask(100)
            following = await world.injector(new, standby=True)
            for _ in range(40):
                world.ask(5)
                await asyncio.sleep(0)
            world.token("snapshot", old, new)
            world.ask(100)
            world.token("transition", old, new)
            for _ in range(40):
                world.ask(5)
                await asyncio.sleep(0)
            await world.until(lambda: world.asked in world.inputs)
            await ended.wait()
            await world.running[old][0]
            ended = following
        numbers = [one for one in world.inputs if isinstance(one, int)]
        assert numbers == list(range(1, world.asked + 1))
        assert [one for one in world.inputs if isinstance(one, str)] == ["snapshot", "transition"] * 2
        ended.set()
        await world.running[OLD][0]
        await world.bus.stop()

    run(story(), timeout=30)


def test_an_old_one_that_ended_before_the_token_leaves_nothing_behind(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    async def story() -> None:
        world = World(own_mosquitto.port, tmp_path)
        await world.bus.start()
        ended = await world.injector(OLD)
        stop = await world.injector(NEW, standby=True)
        world.ask(50)
        await world.until(lambda: 50 in world.inputs)
        ended.set()
        await world.until(lambda: world.states[OLD].state == "stopped")
        world.ask(50)
        world.token("transition", OLD, NEW)
        world.ask(50)
        await world.until(lambda: 150 in world.inputs)
        assert [one for one in world.inputs if isinstance(one, int)] == list(range(1, 151))
        assert world.inputs.index("transition") == 100
        stop.set()
        await world.running[NEW][0]
        await world.running[OLD][0]
        await world.bus.stop()

    run(story(), timeout=30)
