"""D2, V9 on the real flow: another process changes the state while requests are on their way and models compute.

And what `roost state show` says of it.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from requester import Requester
from task_device import Device, schedule

from roost_broker.messages import Request, Score, decode
from roost_broker.mosquitto import PrivateBroker
from roost_models.archive.reading import ArchiveReader

pytestmark = [pytest.mark.broker, pytest.mark.processes]

Run = Callable[..., Any]
COUNT = 300

# A model's score is the value it used, read after it has taken its time; while it is warmed there is none.
SLOW = """
import time

def predict(image, context):
    time.sleep(0.004)
    return {"here": float(context.state.get("counter", 0))}
"""
QUICK = """
def predict(image, context):
    return {"here": float(context.state.get("counter", 0))}
"""
STATE = """
[tasks.nest.state.counter]
topic = "outside/counter"
pointer = "/value"
type = "number"

[tasks.nest.state.word]
file = "word"
every_s = 0.1

[tasks.nest.state.print]
command = ["echo", "printed"]

[tasks.nest.state.light]
computed = "daylight"
latitude = 52.5
longitude = 13.4
"""
# Changes the value on the topic and in the file as fast as the broker takes it, until its stdin is closed.
CHANGER = """
import asyncio, pathlib, sys
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings

async def main(port, word):
    bus = MqttBus(BrokerSettings(port=port, session_expiry_s=0), "changer")
    await bus.start()
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    number = 0
    while not ended.done():
        number += 1
        await bus.publish("outside/counter", b'{"value": %d}' % number, retain=True)
        if number == 1:
            print("changing", flush=True)
        part = word.with_suffix(".part")
        part.write_text(f"word {number}")
        part.replace(word)
    await bus.stop()

asyncio.run(main(int(sys.argv[1]), pathlib.Path(sys.argv[2])))
"""


@contextmanager
def changing(device: Device) -> Iterator[None]:
    command = [sys.executable, "-c", CHANGER, str(device.broker.port), str(device.folder / "word")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"changing\n"
        yield


def test_while_the_state_changes_all_the_time_each_model_used_what_the_archive_holds(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    device = Device(tmp_path, own_mosquitto)
    models = ("quick", "slow")
    device.task(schedule((0, ["slow"]), (600, ["quick"])), quick=QUICK, slow=SLOW)
    with device.settings.open("a", encoding="utf-8") as settings:
        settings.write(STATE)

    async def story() -> None:
        async with Requester(device) as door, device.up() as supervisor:
            for _ in range(COUNT // 10):
                door.ask_many(10)
                await asyncio.sleep(0)
                await door.answered(list(door.sent)[-1])
            await door.heard(*models)
            await door.until(lambda: len(door.receipts) == COUNT)
        with ArchiveReader(supervisor.settings.layout.archive("nest")) as archive:
            archived = {item.request_id: item.payload for item in archive.inputs()}
            assert archive.stats().scores_of_other_bytes == 0
        assert archived.keys() == door.sent.keys()
        values = set()
        for request_id, payload in archived.items():
            request = decode(payload)
            assert isinstance(request, Request)
            digest = hashlib.sha256(payload).hexdigest()
            for model in models:
                word = door.words[request_id][model]
                assert isinstance(word, Score), word
                assert (word.saw, word.outputs[0].score) == (digest, request.state.get("counter", 0))
            assert request.state_age_ms.keys() == request.state.keys()
            values.add(request.state.get("counter"))
        assert len(values) > COUNT // 20, "the value did change while requests came"
        assert request.state.keys() == {"counter", "word", "print", "light"}
        assert request.state["print"] == "printed"
        assert request.state["word"].startswith("word ")

    with changing(device):
        run(story(), timeout=60)


MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"


async def shown(device: Device, *arguments: str) -> tuple[int, bytes, bytes]:
    command = (sys.executable, "-c", MAIN, "state", "show", "--settings", str(device.settings), *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    return process.returncode or 0, out, err


def test_state_show_tells_each_value_with_age_source_and_condition_and_whether_anybody_injects_it(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    device = Device(tmp_path, own_mosquitto)
    device.task(schedule((0, ["quick"])), quick=QUICK)
    with device.settings.open("a", encoding="utf-8") as settings:
        settings.write(STATE)
    (device.folder / "word").write_text("swordfish", encoding="utf-8")

    async def story() -> None:
        status, out, err = await shown(device, "--json")
        assert (status, b"does not run" in err, b"roost up" in err) == (1, True, True)
        assert json.loads(out) == {"nest": {"running": False, "role": None, "toldMsAgo": None, "values": {}}}
        async with Requester(device) as door, device.up():
            await door.until(lambda: door.counts["injector-nest"].get("state-read", 0) >= 3)
            status, out, _ = await shown(device, "--json")
            values = json.loads(out)["nest"]["values"]
            assert status == 0
            assert {name: value["condition"] for name, value in values.items()} == {
                **dict.fromkeys(("word", "print", "light"), "fresh"),
                "counter": "missing",
            }
            assert (values["print"]["value"], values["print"]["source"]) == ("printed", "command echo")
            status, out, _ = await shown(device, "--task", "nest")
            [row] = [line for line in out.decode().splitlines() if line.strip().startswith("word")]
            assert ("swordfish" in row, "fresh" in row, "file" in row) == (True, True, True)

    run(story(), timeout=60)
