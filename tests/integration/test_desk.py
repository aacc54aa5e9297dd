"""The desk on a real broker: asked by a client that knows nothing of Roost, by `roost doctor --node`, by an enemy."""

import asyncio
import contextlib
import json
import os
import queue
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from device_folder import write_bundle, write_schedule
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from secured_broker import SecuredBroker

from roost_broker.bus import Delivery
from roost_broker.messages import RoleState, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics

pytestmark = [pytest.mark.broker, pytest.mark.processes]

NODE = "asked"
DEVICE = NodeTopics(NODE)
WAIT_S = 120


def card(folder: Path, port: int) -> Path:
    """A device with one model and no camera."""
    folder.mkdir()
    write_bundle(folder, "bright")
    write_schedule(folder, "bright")
    (folder / "data").mkdir()
    settings = folder / "roost.toml"
    settings.write_text(
        f'[node]\nname = "{NODE}"\ndata = "data"\n[broker]\nport = {port}\n'
        '[tasks.henhouse]\nschedule = "schedule.toml"\nmodels.bright.bundle = "bright"\n',
        encoding="utf-8",
    )
    return settings


@contextlib.asynccontextmanager
async def desk(settings: Path, broker: BrokerSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    """The role alone, as a process, ready."""
    ready = asyncio.Event()

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        state = decode(delivery.payload)
        if isinstance(state, RoleState) and state.state == "ready":
            ready.set()

    bus = MqttBus(broker, "desk-watcher")
    bus.subscribe(DEVICE.role("desk"), heard)
    await bus.start()
    command = (sys.executable, "-m", "roost_edge.daemon", "desk", "--settings", str(settings))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await ready.wait()
        yield process
    finally:
        await bus.stop(forget=True)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        assert await process.wait() == 0


class Stranger:
    """A stock MQTT 5 client. It knows the topics and that answers are JSON, and nothing else."""

    def __init__(self, port: int) -> None:
        self.heard: queue.Queue[MQTTMessage] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, "stranger", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.heard.put(message)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe([(f"roost/{NODE}/response/+", 1), (f"roost/{NODE}/deadletter", 1), ("home/#", 1)])  # type: ignore[arg-type]  # its hint wants options
        self.client.loop_start()

    def ask(self, verb: str, payload: bytes = b"", *, back: str = "", correlation: bytes = b"") -> None:
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        if back:
            properties.ResponseTopic, properties.CorrelationData = back, correlation
        self.client.publish(f"roost/{NODE}/request/{verb}", payload, qos=1, properties=properties)

    def next(self) -> tuple[str, dict[str, Any], MQTTMessage]:
        message = self.heard.get(timeout=WAIT_S)
        return message.topic, json.loads(message.payload), message

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def stranger(own_mosquitto: PrivateBroker) -> Iterator[Stranger]:
    client = Stranger(own_mosquitto.port)
    yield client
    client.close()


def question(verb: str, transaction: str, **data: Any) -> bytes:
    """As docs/doctor.md shows it."""
    head = {"schema": "roost.ask/1", "timestamp": 1, "messageId": "0" * 32}
    return json.dumps({**head, "verb": verb, "transaction": transaction, "data": data}).encode()


def test_a_client_that_knows_nothing_of_roost_asks_and_is_answered(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, stranger: Stranger
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port)

    async def main() -> None:
        async with desk(settings, own_mosquitto.settings()):
            stranger.ask("info")
            topic, answer, _ = await asyncio.to_thread(stranger.next)
            assert (topic, answer["status"]) == (f"roost/{NODE}/response/info", "ok")
            assert answer["data"]["tasks"] == {"henhouse": {"bright": "bright"}}
            assert answer["data"]["system"]["python"]

            stranger.ask("doctor", question("doctor", "t-1", only=["storage", "bundle", "broker"]))
            topic, answer, _ = await asyncio.to_thread(stranger.next)
            assert (topic, answer["transaction"], answer["status"]) == (f"roost/{NODE}/response/doctor", "t-1", "ok")
            report = answer["data"]
            found = {check["name"]: check["status"] for check in report["checks"]}
            assert found == {"storage": "ok", "bundle/henhouse/bright": "ok", "broker": "ok"}
            assert (report["schema"], report["node"], report["ok"]) == ("roost.doctor/1", NODE, True)

            stranger.ask("info", back="home/answers", correlation=b"\x07")
            both = [await asyncio.to_thread(stranger.next) for _ in range(2)]
            assert {topic for topic, _, _ in both} == {f"roost/{NODE}/response/info", "home/answers"}
            rim = next(message for topic, _, message in both if topic == "home/answers")
            assert getattr(rim.properties, "CorrelationData", None) == b"\x07"

            stranger.ask("doctor", question("doctor", "t-2", only=["nothing"]))
            _, answer, _ = await asyncio.to_thread(stranger.next)
            assert (answer["transaction"], answer["status"]) == ("t-2", "error")
            assert "There is no check 'nothing'" in answer["problem"]

    run(main(), timeout=180)


def test_hostile_payloads_are_answered_put_aside_and_harm_nobody(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker, stranger: Stranger
) -> None:
    settings = card(tmp_path / "card", own_mosquitto.port)
    hostile = [
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"schema":"roost.ask/1"}',
        question("doctor", "x" * 2_000),
        question("info", "wrong verb"),
        question("doctor", "deep", only=[[["x"]]]),
        os.urandom(90_000),
    ]

    async def main() -> None:
        async with desk(settings, own_mosquitto.settings()) as process:
            for payload in hostile:
                stranger.ask("doctor", payload)
            heard = [await asyncio.to_thread(stranger.next) for _ in range(2 * len(hostile))]
            answers = [answer for topic, answer, _ in heard if topic.endswith("/response/doctor")]
            letters = [letter for topic, letter, _ in heard if topic.endswith("/deadletter")]
            assert (len(answers), len(letters)) == (len(hostile), len(hostile))
            assert {answer["status"] for answer in answers} == {"error"}
            assert {letter["reader"] for letter in letters} == {"desk"}
            stranger.ask("info")
            assert (await asyncio.to_thread(stranger.next))[1]["status"] == "ok"
            assert process.returncode is None

    run(main(), timeout=180)


async def doctor(settings: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("roost")), "doctor", "--settings", str(settings), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_an_operator_asks_a_device_from_afar_and_the_desk_has_the_rights_to_look(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """On a broker with passwords and rights: the examination has a session of its own, beside the desk's."""
    with SecuredBroker(tmp_path / "broker") as broker:
        settings = card(tmp_path / "card", broker.port)
        broker.secure(settings)
        broker.start()

        async def main() -> None:
            async with desk(settings, broker.settings()):
                status, out, _ = await doctor(settings, "--node", NODE, "--json", "--only", "broker", "--only", "roles")
                checks = {check["name"]: check for check in json.loads(out)["checks"]}
                assert checks["broker"]["status"] == "ok"
                # Only the desk runs, and it is seen: the others are not there.
                assert (status, checks["roles"]["status"], checks["roles"]["facts"]["ready"]) == (1, "fail", 1)
                status, out, _ = await doctor(settings, "--node", NODE, "--only", "storage")
                assert status == 0
                assert out.startswith("ok    storage  ")
                assert broker.denied == []
            status, _, err = await doctor(settings, "--node", NODE, "--timeout", "1")
            assert (status, f"{NODE} did not answer within 1 s" in err) == (1, True)

        run(main(), timeout=240)
