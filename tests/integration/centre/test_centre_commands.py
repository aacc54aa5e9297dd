"""`roost centre` and `roost fleet` as an operator uses them."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from centre_world import Sender

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess
from roost_broker.centre.client import open_centre
from roost_broker.messages import Availability, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.private_process import free_port

pytestmark = [pytest.mark.nats, pytest.mark.processes]
Run = Callable[..., Any]
ROOST = [sys.executable, "-c", "import sys; from roost_edge.cli import main; sys.exit(main())"]


def roost(*words: str, status: int = 0) -> str:
    done = subprocess.run([*ROOST, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


@contextmanager
def up(centre: Path) -> Iterator[subprocess.Popen[str]]:
    """A centre that runs; ended as Ctrl-C does."""
    process = subprocess.Popen([*ROOST, "centre", "up", "--centre", str(centre)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("Archiving"):
                break
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_story_of_a_centre_up_fed_looked_at_replayed(tmp_path: Path, mosquitto: PrivateBroker, run: Run) -> None:
    centre = tmp_path / "centre"
    centre.mkdir()
    port = free_port()
    (centre / "centre.toml").write_text(f"[server]\nport = {port}\n", encoding="utf-8")
    online = Availability(timestamp=1, message_id="0" * 32, state="online", session=1)

    async def feed() -> None:
        async with await open_centre(NatsAccess(urls=(f"nats://127.0.0.1:{port}",)), name="test") as client:
            sender = Sender(client)
            await sender.send_many(50)
            await sender.send("roost/coop-1/availability", encode(online))

    with up(centre):
        assert {line.split()[1] for line in roost("centre", "apply", "-c", str(centre)).splitlines()[1:]} == {
            "unchanged"
        }
        run(feed())
        (device,) = json.loads(roost("fleet", "status", "-c", str(centre), "--json"))["devices"]
        assert (device["node"], device["condition"]) == ("coop-1", "online")
        assert "coop-1" in roost("fleet", "watch", "-c", str(centre), "--seconds", "2")
    seen = json.loads(roost("centre", "status", "-c", str(centre), "--json", status=1))  # its server has ended
    assert seen["archive"]["messages"] == 51
    assert "centre up" in seen["problem"]

    heard: list[bytes] = []
    complete = asyncio.Event()

    def take(delivery: Delivery) -> None:
        delivery.ack()
        heard.append(delivery.payload)
        if len(heard) == 50:
            complete.set()

    async def listen() -> str:
        bus = MqttBus(mosquitto.settings(), "centre-commands")
        bus.subscribe("roost/bench-x/henhouse/input", take)
        await bus.start()
        words = ["centre", "replay", "-c", str(centre), "--into", f"mqtt://127.0.0.1:{mosquitto.port}"]
        said = await asyncio.to_thread(roost, *words, "--lane", "inputs", "--as", "bench-x", "--json")
        await complete.wait()
        await bus.stop(forget=True)
        return said

    nothing = ["centre", "replay", "-c", str(centre), "--into", f"mqtt://127.0.0.1:{mosquitto.port}", "--task", "TYPO"]
    empty = subprocess.run([*ROOST, *nothing], capture_output=True, text=True, timeout=60, check=False)
    assert (empty.returncode, "holds nothing of that choice" in empty.stderr) == (1, True)
    assert "roost centre status" in empty.stderr

    done = json.loads(run(listen(), timeout=60))
    assert done["messages"] == 50
    assert heard == [f'{{"number":{number}}}'.encode() for number in range(50)]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["centre", "status"], "no centre"),
        (["fleet", "status"], "no centre"),
        (["centre", "replay", "--into", "nonsense://x"], "no centre"),
    ],
)
def test_without_a_centre_the_next_step_is_told(tmp_path: Path, words: list[str], problem: str) -> None:
    done = subprocess.run(
        [*ROOST, *words, "-c", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert problem in done.stderr
    assert "roost centre up" in done.stderr


def test_a_server_that_is_killed_ends_the_centre_loudly(tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    centre.mkdir()
    (centre / "centre.toml").write_text(f"[server]\nport = {free_port()}\n", encoding="utf-8")
    process = subprocess.Popen([*ROOST, "centre", "up", "-c", str(centre)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Archiving"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    for child in children:
        subprocess.run(["kill", "-9", child], check=True)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "NATS server has ended" in said
