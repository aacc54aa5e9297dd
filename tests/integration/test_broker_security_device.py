"""A whole device on a secured broker: every role does its work, and nobody is refused anything or asks for too much."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ota_world import SAYS, OtaWorld, Watcher
from secured_broker import SecuredBroker

from roost_broker.access_rules import may
from roost_broker.bus import Delivery
from roost_broker.credentials import WATCHER, as_user
from roost_broker.messages import decode
from roost_broker.mqtt import MqttBus
from roost_broker.private_process import free_port
from roost_broker.topics import without_share
from roost_edge.broker_setup.users import users

pytestmark = [pytest.mark.broker, pytest.mark.processes]
ROOST = "import sys; from roost_provisioning.cli import main; sys.exit(main())"
SAID_BY = {
    ("nest/raw", "capture-yard"),
    ("nest/input", "injector"),
    ("nest/scores/champion", "model champion"),
    ("nest/scores/pair", "model pair"),
    ("nest/results/yard", "rendezvous"),
    ("nest/receipts", "decoy"),
    ("nest/receipts", "gateway"),
    ("nest/schedule", "rendezvous"),
    ("nest/state", "injector-nest"),
    ("nest/models/pair/state/1", "model pair"),
    ("yard/events", "alerts"),
    ("yard/snapshot", "alerts"),
    ("roles/desk", "desk"),
    ("roles/monitor", "monitor"),
    ("roles/proxy", "proxy"),
    ("availability", "alerts"),
    ("ota", "ota"),
}
"""Topic and speaker, as messages themselves tell."""


class Ear:
    """Hears everything below the device as the user `watcher`, and wakes whoever waits for something."""

    def __init__(self, broker: SecuredBroker) -> None:
        device = broker.device
        self.bus = MqttBus(as_user(device.broker, WATCHER), "ear")
        self.heard: set[tuple[str, str]] = set()
        self._root = f"{device.topics.root}/"
        self._news = asyncio.Event()
        self.bus.subscribe(f"{self._root}#", self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        delivery.ack()
        if delivery.payload:
            path = decode(delivery.payload).provenance.path
            self.heard.add((delivery.topic.removeprefix(self._root), path[-1].component if path else ""))
            self._news.set()

    async def all_of(self, wanted: set[tuple[str, str]]) -> None:
        try:
            async with asyncio.timeout(90):
                while not wanted <= self.heard:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never heard: {wanted - self.heard}; heard: {sorted(self.heard)}") from None


@pytest.fixture
def world(tmp_path: Path) -> Any:
    with SecuredBroker(tmp_path / "broker") as broker:
        made: Any = OtaWorld(tmp_path, broker)  # type: ignore[arg-type]  # it stands where a private broker does
        made.broker, made.http = broker, free_port()
        with made.device.settings.open("a", encoding="utf-8") as file:
            file.write(
                f"[proxy]\nport = {made.http}\n"
                f'[gateway]\ncentre.urls = ["nats://127.0.0.1:{free_port()}"]\n'
                '[cameras.yard]\ntask = "nest"\nsource = "synthetic"\nfps = 5.0\ncapture.interval_ms = 300\n'
                '[tasks.nest.state.outside]\ntopic = "weather/temperature"\n'
                f'[tasks.nest.models.pair]\nbundle = "{made.folder}/device/nest-fast"\nreplicas = 2\n'
                "[traces]\nshare = 1.0\n"
                '[mosquitto.programs.weather]\nwrite = ["weather/#"]\n'
            )
        broker.secure(made.device.settings)
        broker.start()
        yield made


async def roost(world: Any, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", ROOST, *words, "--settings", str(world.device.settings)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def told_the_weather(broker: SecuredBroker) -> None:
    """A program that is none of Roost's, with a user of its own."""
    weather = MqttBus(as_user(broker.device.broker, "weather"), "weather")
    await weather.start()
    await weather.publish("weather/temperature", b"21", retain=True)
    await weather.stop()


async def the_commands_work(world: Any) -> None:
    """Operators' commands, several of them while others hold sessions as the same user."""
    config = ("config", "check", str(world.device.settings))
    assert (await asyncio.create_subprocess_exec(sys.executable, "-c", ROOST, *config)) is not None
    for words in (("schedule", "show"), ("model", "list"), ("state", "show"), ("ota", "status")):
        status, out, err = await roost(world, *words)
        assert status == 0, (words, out, err)


def test_every_role_works_and_nobody_is_refused_or_subscribes_to_what_it_may_not_read(
    run: Callable[..., Any], world: Any
) -> None:
    async def main() -> None:
        await told_the_weather(world.broker)
        ear = Ear(world.broker)
        await ear.bus.start()
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            assert [role.name for role in supervisor.roles if supervisor.state(role.name) != "ready"] == []
            await watcher.answered(*watcher.ask_many(10))
            async with aiohttp.ClientSession() as http:
                body = {"input": {"values": {"number": 1}}}
                async with http.post(f"http://127.0.0.1:{world.http}/v1/tasks/nest/requests", json=body) as answer:
                    assert answer.status == 200, await answer.text()
            await ear.all_of(SAID_BY)
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "shadow")
            await watcher.phase("shadow")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving")
            await ear.all_of({("nest/scores/champion-b", "model champion-b")})
            for component in ("rendezvous", "injector", "rendezvous", "injector"):
                status, out, err = await roost(world, "upgrade", component, "--json")
                assert status == 0, err
                assert json.loads(out)["done"]
            await watcher.answered(*watcher.ask_many(10))
            await the_commands_work(world)
        await ear.bus.stop()

    run(main(), timeout=400)
    broker: SecuredBroker = world.broker
    assert broker.denied == []
    rights = users(broker.device).rights
    asked_for = [(user, topic) for user, topics in broker.subscribed.items() if user in rights for topic in topics]
    assert [one for one in asked_for if not may(rights[one[0]], "read", without_share(one[1]))] == []
    # All that may connect did, but for those that nobody started.
    assert set(rights) - {user for user, _ in asked_for} <= {"operator", "device:promised", "weather", "desk.doctor"}
