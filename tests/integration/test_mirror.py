"""`roost mirror` as a developer runs it: two real brokers, the command as a process."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.bus import Delivery
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Request, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics

SCHEDULE = (
    'task = "nest"\nsla_ms = 2000\n[[step]]\nafter_ms = 0\naccept = ["*"]\n'
    '[default]\nafter_ms = 1900\nlabel = "unknown"\n'
)


def settings(folder: Path, node: str, broker: PrivateBroker) -> Path:
    folder.mkdir()
    (folder / "nest.toml").write_text(SCHEDULE, encoding="utf-8")
    path = folder / "roost.toml"
    path.write_text(
        f'[node]\nname = "{node}"\n[broker]\nport = {broker.port}\n[tasks.nest]\nschedule = "nest.toml"\n',
        encoding="utf-8",
    )
    return path


def request(topics: NodeTopics, number: int, frame: FrameRef) -> bytes:
    return encode(
        Request(
            timestamp=number,
            message_id=new_id(number),
            request_id=new_id(number),
            return_address=topics.task("nest").results("door"),
            deadline_ms=2000,
            input=Input(frame=frame),
        )
    )


def roost(*words: str) -> "subprocess.Popen[str]":
    code = "import sys; from roost_edge.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "mirror", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.broker
@pytest.mark.processes
def test_a_developer_gets_productions_requests_with_their_pictures_to_the_byte(
    mosquitto: PrivateBroker, own_mosquitto: PrivateBroker, tmp_path: Path, run: Callable[..., Any]
) -> None:
    production = settings(tmp_path / "production", "mirrored", own_mosquitto)
    desk = settings(tmp_path / "desk", "mirroring", mosquitto)
    prod, copy = NodeTopics("mirrored"), NodeTopics("mirroring")
    frame = FrameStore(production.parent / "roost-data" / "frames").put(b"a picture", width=1, height=1)
    payloads = [request(prod, number, frame) for number in range(20)]
    arrived: list[bytes] = []
    first, everything = asyncio.Event(), asyncio.Event()

    def copied(delivery: Delivery) -> None:
        delivery.ack()
        if delivery.payload == b"":
            return
        arrived.append(delivery.payload)
        first.set()
        if len(arrived) >= 20 and arrived[-1] == payloads[-1]:
            everything.set()

    async def scenario() -> str:
        publisher = MqttBus(BrokerSettings(port=own_mosquitto.port, session_expiry_s=0), "publisher")
        watcher = MqttBus(BrokerSettings(port=mosquitto.port, session_expiry_s=0), "mirror-watcher")
        watcher.subscribe(copy.task("nest").input, copied)
        await publisher.start()
        await watcher.start()
        process = roost("--from", str(production), "--settings", str(desk), "--json")
        try:
            opening = request(prod, 999, frame)
            while not first.is_set():  # until the mirror listens; what came before it is not kept for it
                await publisher.publish(prod.task("nest").input, opening)
                try:
                    async with asyncio.timeout(0.1):
                        await first.wait()
                except TimeoutError:
                    continue
            for payload in payloads:
                await publisher.publish(prod.task("nest").input, payload)
            await everything.wait()
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate, timeout=20)
            assert process.returncode == 0, err
        finally:
            process.kill()
            process.wait()
        await publisher.stop()
        await watcher.stop()
        return out

    told = json.loads(run(scenario(), timeout=40))
    assert arrived[-20:] == payloads
    assert told["node"] == "mirrored"
    assert told["counts"]["copied"] == len(arrived)
    assert FrameStore(desk.parent / "roost-data" / "frames").read(frame) == b"a picture"


@pytest.mark.broker
@pytest.mark.processes
def test_what_cannot_be_mirrored_is_told_with_the_next_step(own_mosquitto: PrivateBroker, tmp_path: Path) -> None:
    desk = settings(tmp_path / "desk", "desk", own_mosquitto)
    for words, problem in (
        (("--from", str(desk)), "are the same device"),
        (("--from", "nowhere"), "neither a settings file nor HOST:PORT"),
        (("--from", "127.0.0.1:1", "--node", "x", "--streams", "scores"), "no stream of requests"),
        (("--from", "127.0.0.1:1", "--node", "x", "--tasks", "door"), "no task 'door'"),
    ):
        process = roost(*words, "--settings", str(desk))
        _, err = process.communicate(timeout=30)
        assert process.returncode == 2, err
        assert problem in err
        assert "→" in err
