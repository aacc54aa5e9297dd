"""Operating schedules by command, on a real Mosquitto with real processes, while requests keep coming."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from requester import Requester
from task_device import Device, schedule

from roost_broker.bus import Delivery
from roost_broker.messages import ModelState, ScheduleSet, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus

pytestmark = [pytest.mark.broker, pytest.mark.processes]

Run: TypeAlias = Callable[..., Any]
ANSWERS = """
def predict(image, context):
    return {"here": 1.0}
"""
FIRST = schedule((0, ["champion"]), (600, ["fast"]))


def write(path: Path, first: str, second: str) -> Path:
    steps = f'[[step]]\nafter_ms = 0\naccept = ["{first}"]\n[[step]]\nafter_ms = 600\naccept = ["{second}"]\n'
    path.write_text(
        f'task = "nest"\nsla_ms = 2000\n{steps}[default]\nafter_ms = 1600\nlabel = "unknown"\n', encoding="utf-8"
    )
    return path


class Operator:
    """Gives commands as a person does."""

    def __init__(self, device: Device) -> None:
        self._settings = device.settings

    async def says(self, *words: str, status: int = 0) -> str:
        """The command's stdout."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "roost"), *words, "--settings", str(self._settings),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, talk = await process.communicate()
        assert process.returncode == status, talk.decode()
        return said.decode() if status == 0 else talk.decode()

    async def data(self, *words: str) -> Any:
        return json.loads(await self.says(*words, "--json"))


def test_a_schedule_is_shown_applied_listed_and_rolled_back_under_load_without_a_loss_or_a_restart(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    """L6, L8, L9: the roll-back is effective within a second, measured by the answers."""
    device = Device(tmp_path, own_mosquitto)
    device.task(FIRST, champion=ANSWERS, fast=ANSWERS)
    turned = write(tmp_path / "turned.toml", "fast", "champion")

    async def load(door: Requester, stop: asyncio.Event) -> None:
        while not stop.is_set():
            door.ask()
            await asyncio.sleep(0.005)

    async def story() -> None:
        operator = Operator(device)
        async with Requester(device) as door, device.up() as supervisor:
            before = {role.name: supervisor.pid(role.name) for role in supervisor.roles}
            stop = asyncio.Event()
            loading = asyncio.ensure_future(load(door, stop))
            shown = await operator.data("schedule", "show")
            assert (shown["version"], shown["rendezvous"]) == (FIRST.version, "ready")
            applied = await operator.data("schedule", "apply", str(turned), "--author", "ann", "--why", "quicker")
            assert applied["outcome"] == "applied"
            await door.until(lambda: any(event.kind == "schedule-applied" for event in door.events()))
            rolled = asyncio.ensure_future(operator.data("schedule", "rollback", "--author", "bob"))
            told = len(door.events())
            await door.until(lambda: len(door.events()) > told)
            effective = time.monotonic()  # the rendezvous has said so
            assert (await rolled)["version"] == FIRST.version
            stop.set()
            await loading
            results = await door.answered()
            door.assert_each_answered_once_in_time()
            assert all(result.answer is not None for result in results)
            late = [r for r in results if door.sent[r.request_id] > effective]
            assert late
            assert {result.schedule_version for result in late} == {FIRST.version}
            assert len({result.schedule_version for result in results}) == 2
            for event in door.events():  # an id begins with the milliseconds of its making
                if event.kind == "schedule-applied":
                    assert event.timestamp - int(event.data["messageId"][:12], 16) < 1000
            history = await operator.data("schedule", "history")
            assert [line["entry"]["author"] for line in history] == ["settings file", "ann", "bob"]
            assert history[2]["entry"]["why"] == f"roll-back from {applied['version']}"
            assert len((await operator.says("schedule", "history")).splitlines()) == 4
            assert {role.name: supervisor.pid(role.name) for role in supervisor.roles} == before
        own_mosquitto.stop()
        assert "No broker answers" in (await operator.data("schedule", "show"))["standing"]
        assert len(await operator.data("schedule", "history")) == 3

    run(story(), timeout=90)


def test_a_mosquitto_killed_after_a_change_does_not_bring_the_old_schedule_back(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    """Decision 9, whatever Mosquitto had saved by then."""
    device = Device(tmp_path, own_mosquitto)
    device.task(FIRST, champion=ANSWERS, fast=ANSWERS)
    turned = schedule((0, ["fast"]), (600, ["champion"]))

    async def story() -> None:
        async with Requester(device) as door, device.up():
            await door.publish(turned)
            own_mosquitto.kill()
            own_mosquitto.start()
            back = asyncio.Event()
            listener = MqttBus(own_mosquitto.settings(), "listener")

            def look(delivery: Delivery) -> None:
                message = decode(delivery.payload)
                if isinstance(message, ScheduleSet) and message.version == turned.version:
                    back.set()
                delivery.ack()

            listener.subscribe(door.topics.schedule, look)
            await listener.start()
            await back.wait()
            await listener.stop()
        shown = await Operator(device).data("schedule", "show")
        assert (shown["version"], shown["author"]) == (turned.version, "operator")

    run(story(), timeout=60)


def test_a_misspelt_model_goes_live_and_is_warned_of_where_one_that_only_the_broker_knows_is_not(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    device = Device(tmp_path, own_mosquitto)
    device.task(FIRST, champion=ANSWERS)
    wrong = write(tmp_path / "wrong.toml", "champoin", "guest")

    async def story() -> None:
        operator = Operator(device)
        async with device.up():
            bus, topics = MqttBus(own_mosquitto.settings(), "guest"), device.topics.task("nest")
            await bus.start()
            guest = ModelState(timestamp=1, message_id="1" * 32, model="guest", state="ready", session=1)
            await bus.publish(topics.model_state("guest"), encode(guest), retain=True)
            await bus.stop()
            checked = await operator.data("schedule", "check", str(wrong))
            applied = await operator.data("schedule", "apply", str(wrong))
            assert applied["outcome"] == "applied"
            (warning,) = applied["warnings"]
            assert "no model champoin" in warning
            assert "Did you mean champion?" in warning
            assert checked["warnings"] == [warning]
            assert (await operator.data("schedule", "show"))["version"] == applied["version"]

    run(story(), timeout=60)


def test_a_model_is_retired_only_when_it_neither_runs_nor_is_named(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    """L10."""
    device = Device(tmp_path, own_mosquitto)
    device.task(FIRST, champion=ANSWERS, fast=ANSWERS, other=ANSWERS)

    async def story() -> None:
        operator = Operator(device)
        async with device.up():
            listed = {one["model"]: one for one in await operator.data("model", "list")}
            assert {name: one["place"] for name, one in listed.items()} == {
                "champion": "from 0 ms",
                "fast": "from 600 ms",
                "other": "not named",
            }
            assert "is named in the schedule" in await operator.says("model", "retire", "fast", status=1)
            assert "still running" in await operator.says("model", "retire", "other", status=1)
        assert (await operator.data("model", "retire", "other"))["inSettings"] is True
        assert "other" not in {one["model"] for one in await operator.data("model", "list")}
        assert "it is the first" in await operator.says("schedule", "rollback", status=1)

    run(story(), timeout=60)
