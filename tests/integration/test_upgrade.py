"""`roost upgrade` on a real Mosquitto with real processes, under load: there and back again (V19, L12, L13)."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from requester import Requester
from task_device import Device, schedule

from roost_broker.bus import Delivery
from roost_broker.errors import Misuse
from roost_broker.messages import Token, decode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_edge.processes import control

pytestmark = [pytest.mark.broker, pytest.mark.processes]

MODEL = """
def predict(image, context):
    return {"here": 1.0}
"""


@pytest.fixture
def device(tmp_path: Path, own_mosquitto: PrivateBroker) -> Device:
    made = Device(tmp_path, own_mosquitto)
    made.task(schedule((0, ["champion"]), (600, ["champion", "fast"])), champion=MODEL, fast=MODEL)
    text = made.settings.read_text(encoding="utf-8")
    made.settings.write_text(
        text.replace("rendezvous.state_every_ms = 100", "rendezvous.state_every_ms = 100\nrendezvous.grace_ms = 500")
    )
    return made


async def upgrade(device: Device, *arguments: str) -> tuple[int, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from roost_edge.cli import main; sys.exit(main())", "upgrade", *arguments),
        *("--settings", str(device.settings), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out)


async def load(requester: Requester, over: asyncio.Event) -> None:
    while not over.is_set():
        requester.ask()
        await asyncio.sleep(0.02)


async def answered_soon(requester: Requester) -> None:
    """Every request, or a sentence about those that are not."""
    try:
        async with asyncio.timeout(60):
            await requester.answered()
    except TimeoutError:
        lost = [number for number, one in enumerate(requester.sent) if not requester.results[one]]
        on_input = [one in requester.inputs for one in requester.sent if not requester.results[one]]
        raise AssertionError(f"unanswered: {lost} of {len(requester.sent)}, on input: {on_input}") from None


def test_both_are_replaced_under_load_there_and_back(run: Any, device: Device) -> None:
    async def story() -> None:
        async with device.up() as supervisor, Requester(device) as requester:
            over = asyncio.Event()
            asking = asyncio.ensure_future(load(requester, over))
            for component in ("rendezvous", "injector", "rendezvous", "injector"):
                status, told = await upgrade(device, component)
                assert status == 0, told
                assert told["done"]
            over.set()
            await asking
            await answered_soon(requester)
            assert {role.name for role in supervisor.roles} >= {"rendezvous-nest", "injector-nest"}
            assert not any(role.slot for role in supervisor.roles)
            assert {supervisor.state(role.name) for role in supervisor.roles} == {"ready"}
            requester.assert_each_answered_once_in_time()
            assert len(requester.sent) > 100
            defaults = [one for given in requester.results.values() for one in given if one.cause == "default"]
            assert defaults == []

    run(story(), timeout=180)


def test_an_old_server_killed_at_the_transition_token_loses_nothing_and_nobody_is_told_two_things(
    run: Any, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    """1. Requests wait 600 ms for a champion that never comes. 2. The token passes, and the old server is killed with
    them open. 3. The requester asks again, as a camera does, whatever it has no answer to."""
    device = Device(tmp_path, own_mosquitto)
    device.task(schedule((0, ["champion"]), (600, ["champion", "fast"])), fast=MODEL)

    async def story() -> None:
        async with device.up() as supervisor, Requester(device) as requester:
            killed: list[int] = []

            def look(delivery: Delivery) -> None:
                message = decode(delivery.payload)
                if isinstance(message, Token) and message.kind == "transition":
                    supervisor.kill("rendezvous-nest")
                    killed.append(len(requester.sent))
                delivery.ack()

            eyes = MqttBus(BrokerSettings(port=own_mosquitto.port, session_expiry_s=0), "eyes")
            eyes.subscribe(device.topics.task("nest").input, look)
            await eyes.start()
            over = asyncio.Event()
            asking = asyncio.ensure_future(load(requester, over))
            await requester.until(lambda: len(requester.results) > 20)
            status, told = await upgrade(device, "rendezvous")
            assert (status, told["in_charge"]) == (0, "rendezvous-nest-b"), told
            over.set()
            await asking
            await eyes.stop()
            (asked_before,) = killed
            lost = [one for one in list(requester.sent)[:asked_before] if not requester.results[one]]
            assert lost  # open in the old one when it died
            async with asyncio.timeout(60):
                for attempt in (2, 3):
                    for request_id in requester.sent:
                        requester.ask_again(request_id, attempt)
                    await requester.answered()
                await requester.until(lambda: all(len(given) >= 2 for given in requester.results.values()))
            assert {len({one.message_id for one in given}) for given in requester.results.values()} == {1}
            assert "rendezvous-nest" not in {role.name for role in supervisor.roles}

    run(story(), timeout=180)


def test_who_is_in_charge_is_remembered_by_the_next_supervisor(run: Any, device: Device) -> None:
    async def story() -> None:
        async with device.up() as supervisor, Requester(device) as requester:
            before = supervisor.pid("rendezvous-nest")
            status, told = await upgrade(device, "rendezvous", "--python", sys.executable)
            assert (status, told["in_charge"]) == (0, "rendezvous-nest-b")
            after = supervisor.pid("rendezvous-nest-b")
            assert after not in (before, None)
            supervisor.kill("rendezvous-nest-b", signal.SIGKILL)  # it comes back in charge, not in standby
            requester.ask()
            await requester.answered()
        async with device.up() as supervisor, Requester(device, name="window") as requester:
            assert "rendezvous-nest-b" in {role.name for role in supervisor.roles}
            assert "rendezvous-nest" not in {role.name for role in supervisor.roles}
            requester.ask()
            await requester.answered()
            requester.assert_each_answered_once_in_time()

    run(story(), timeout=180)


def test_a_successor_that_cannot_start_can_be_removed_and_nothing_has_happened(
    run: Any, device: Device, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 7\n")
    python.chmod(0o755)

    async def story() -> None:
        async with device.up() as supervisor, Requester(device) as requester:
            await supervisor.start_successor("rendezvous-nest-b", python=str(python))
            await supervisor.remove("rendezvous-nest-b")  # in the middle of its attempts
            requester.ask()
            await requester.answered()
            assert "rendezvous-nest-b" not in {role.name for role in supervisor.roles}

    run(story(), timeout=120)


def test_without_a_supervisor_it_says_how_to_do_it_by_hand(run: Any, device: Device) -> None:
    async def story() -> None:
        async with device.up() as supervisor:
            await supervisor._control.close()
            status, told = await upgrade(device, "injector")
            assert status == 1
            assert told["in_charge"] == "injector-nest"
            assert "roost run injector --task nest --standby" in told["remedy"]

    run(story(), timeout=60)


def test_the_socket_is_its_users_alone_and_survives_nonsense(run: Any, device: Device) -> None:
    async def story() -> None:
        async with device.up(ready=False):
            path = device.folder / "data" / "supervisor.sock"
            assert path.stat().st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"\xff rubbish\n")
            assert json.loads(await reader.readline())["ok"] is False
            writer.close()
            for request, says in (
                ({"do": "dance"}, "It can: roles, start, remove"),
                ({"do": "start", "role": "decoy-nest"}, "is not a successor"),
                ({"do": "remove", "role": "injector-nest"}, "is in charge"),
            ):
                with pytest.raises(Misuse) as refused:
                    await control.ask(path, request, timeout_s=60)
                assert says in str(refused.value)
            answer = await control.ask(path, {"do": "roles"}, timeout_s=60)
            assert answer is not None
            assert "injector-nest" in {role["name"] for role in answer["roles"]}
        assert not path.exists()

    run(story(), timeout=60)
