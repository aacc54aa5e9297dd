"""A device with a camera, seen and switched by programs that know nothing of Roost: `mosquitto_sub`, `mosquitto_pub`.

The device's broker is the secured one, and whoever looks comes as Home Assistant's own user: what he hears and orders
here, he has the right to.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from device_folder import write_bundle, write_schedule
from secured_broker import SecuredBroker

from roost_broker.clock import MS, SystemClock
from roost_broker.credentials import as_user
from roost_broker.ids import new_id
from roost_broker.messages import Answer, Result, decode, encode
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = NodeTopics("coop-1")
NEST = NODE.camera("nest")
CLOCK = SystemClock()
SETTINGS = """
[node]
name = "coop-1"
data = "data"
[broker]
port = {port}
[tasks.henhouse]
schedule = "schedule.toml"
models.bright.bundle = "bright"
[cameras.nest]
task = "henhouse"
source = "synthetic"
[alerts]
end_after_s = 1
cooldown_s = 0
[alerts.rules.foxes]
labels = ["fox"]
cooldown_s = 0
text = "A {{label}} at the {{camera}}!"
[discovery]
jitter_s = 0
[mosquitto.programs.home]
home_assistant = true
"""


def result(label: str) -> Result:
    wall = CLOCK.wall_ns()
    return Result(
        timestamp=wall // MS,
        message_id=new_id(wall),
        request_id=new_id(wall),
        cause="preferred",
        answer=Answer(model="bright", version="1", label=label, score=0.9),
        elapsed_ms=10.0,
        sla_ms=2000,
        tags={"camera": "nest"},
    )


class Home:
    """`mosquitto_sub` and `mosquitto_pub` as the user of Home Assistant: one session, so one of them at a time."""

    def __init__(self, broker: SecuredBroker) -> None:
        settings = as_user(broker.device.broker, "home")
        self.who = ("-h", "127.0.0.1", "-p", str(settings.port), "-u", "home", "-P", settings.password or "", "-V", "5")

    async def say(self, topic: str, text: str) -> None:
        command = ("mosquitto_pub", *self.who, "-q", "1", "-t", topic, "-m", text)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await process.communicate()
        assert process.returncode == 0

    async def hear(self, topic: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """The first message that fits, as JSON; retained ones count."""
        command = ("mosquitto_sub", *self.who, "-q", "1", "-t", topic)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1_000_000)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                with contextlib.suppress(json.JSONDecodeError):
                    if fits(found := json.loads(line)):
                        return found
        finally:
            process.kill()
            await process.wait()
        raise AssertionError(topic)


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    with SecuredBroker(tmp_path / "broker") as found:
        folder = tmp_path / "card"
        folder.mkdir()
        write_bundle(folder, "bright")
        write_schedule(folder, "bright")
        (folder / "roost.toml").write_text(SETTINGS.format(port=found.port), encoding="utf-8")
        found.secure(folder / "roost.toml")
        found.start()
        yield found


@asynccontextmanager
async def running(broker: SecuredBroker, *role: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A role as a process, ready; it ends in order."""
    ready = asyncio.Event()

    def heard(delivery: Any) -> None:
        delivery.ack()
        state: Any = decode(delivery.payload)
        if state.state == "ready" and not delivery.retained:
            ready.set()

    name = "-".join(word for word in role if not word.startswith("--"))
    bus = MqttBus(broker.settings(), f"watch-{name}")
    bus.subscribe(NODE.role(name), heard)
    await bus.start()
    command = (sys.executable, "-m", "roost_edge.daemon", *role, "--settings", str(broker.path))
    with (broker.folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stderr=log)
    try:
        await ready.wait()
        yield process
    finally:
        await bus.stop(forget=True)
        if process.returncode is None:
            process.terminate()
        assert await process.wait() in (0, -9)


def test_a_stock_client_finds_switches_and_asks_a_device_with_home_assistants_rights(
    run: Any, broker: SecuredBroker
) -> None:
    home = Home(broker)

    async def main() -> None:
        async with running(broker, "alerts"), running(broker, "capture", "--camera", "nest") as capture:
            document = await home.hear("homeassistant/device/roost-coop-1/config")
            parts = document["components"]
            assert len(parts) == 13
            assert (await home.hear(document["availability"][0]["topic"]))["state"] == "online"
            assert (await home.hear(NEST.status))["state"] == "online"

            switch = parts["nest_detection"]
            assert (await home.hear(switch["state_topic"]))["state"] == switch["payload_on"]
            await home.say(switch["command_topic"], switch["payload_off"])
            assert (await home.hear(switch["state_topic"], lambda one: one["state"] == "off"))["camera"] == "nest"
            assert (await home.hear(NEST.motion, lambda one: one["state"] == "off"))["camera"] == "nest"

            # A picture is taken all the same: it is asked for.
            asked = asyncio.Event()
            requests: list[Any] = []
            ear = MqttBus(broker.settings(), "ear")

            def heard(delivery: Any) -> None:
                delivery.ack()
                requests.append(decode(delivery.payload))
                asked.set()

            ear.subscribe(NODE.task("henhouse").raw, heard)
            await ear.start()
            await home.say(parts["nest_take_picture"]["command_topic"], parts["nest_take_picture"]["payload_press"])
            while not any("asked" in one.tags for one in requests):
                asked.clear()
                await asked.wait()
            await ear.stop(forget=True)

            capture.kill()
            await capture.wait()
            status = await home.hear(NEST.status, lambda one: one["state"] == "offline")
            assert status["detail"] == "its process is gone"

        async with running(broker, "capture", "--camera", "nest"):
            assert (await home.hear(switch["state_topic"]))["state"] == "off", "kept over a kill"
        assert broker.denied == []

    run(main(), timeout=120)


def test_a_rule_tells_people_and_a_camera_whose_alerts_are_off_tells_nothing(run: Any, broker: SecuredBroker) -> None:
    home = Home(broker)

    async def main() -> None:
        speaker = MqttBus(broker.settings(), "speaker")
        answers: asyncio.Queue[Any] = asyncio.Queue()

        def told(delivery: Any) -> None:
            delivery.ack()
            answers.put_nowait(decode(delivery.payload))

        speaker.subscribe(f"{NODE.root}/response/+", told)
        await speaker.start()

        async def ask(verb: str) -> Any:
            """As any program does: a plain JSON object with a transaction."""
            await speaker.publish(NODE.request(verb), b'{"transaction": "t-1"}')
            reply = await answers.get()
            assert (reply.verb, reply.transaction, reply.status) == (verb, "t-1", "ok")
            return reply.data

        async def see(label: str) -> None:
            await speaker.publish(NODE.task("henhouse").results("nest"), encode(result(label)))

        async def again(label: str, heard: "asyncio.Task[Any]") -> Any:
            """Who subscribes is not told when he may hear: the result comes until somebody has heard of it."""
            while not heard.done():
                await see(label)
                await asyncio.wait({heard}, timeout=0.5)
            return heard.result()

        async with running(broker, "alerts"):
            notice = await again("fox", asyncio.create_task(home.hear(NODE.notices)))
            assert (notice["rule"], notice["kind"], notice["text"]) == ("foxes", "seen", "A fox at the nest!")
            event = await again("hen", asyncio.create_task(home.hear(NEST.events, lambda one: one["label"] == "hen")))
            assert event["type"] in ("new", "update")

            await home.say(NEST.switch_set("alerts"), "off")
            await home.hear(NEST.switch_state("alerts"), lambda one: one["state"] == "off")
            for label in ("fox", "wolf"):
                await see(label)
            counts = (await ask("alerts"))["counts"]
            while counts.get("switched-off", 0) < 2:
                counts = (await ask("alerts"))["counts"]
            assert counts["rule-foxes-muted"] >= 1
            await home.say(NEST.switch_set("alerts"), "on")
            await home.hear(NEST.switch_state("alerts"), lambda one: one["state"] == "on")

            stands = await ask("alerts")
            assert stands["switches"] == {"nest": "on"}
            assert stands["rules"]["foxes"]["firedAt"]
            assert "wolf" not in {one["label"] for one in stands["sightings"]}
            assert (await ask("notice"))["topic"] == NODE.notices
        await speaker.stop(forget=True)

    run(main(), timeout=120)
