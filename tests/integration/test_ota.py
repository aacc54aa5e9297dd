"""The OTA agent with a real broker, a real registry and real processes: from a document to the official answer."""

import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ota_world import DIES, MODEL, SAYS, SCHEDULE, OtaWorld, Watcher
from registry_servers import raw_server
from task_device import schedule

from roost_broker.messages import OtaOrder, Score, encode
from roost_broker.mosquitto import PrivateBroker
from roost_models.rollout.signed_report import verify

pytestmark = [pytest.mark.broker, pytest.mark.processes]
FIRST_MS = 600
SLOW_AT_FIRST = f"""
import time

def load(folder):
    return {{"cold": True}}

def predict(image, context):
    if context.model["cold"]:
        time.sleep({FIRST_MS / 1000})
        context.model["cold"] = False
    return {{"new": 0.9, "other": 0.1}}
"""
SLOTS = ("model-nest-champion", "model-nest-champion-b")


@pytest.fixture
def world(tmp_path: Path, own_mosquitto: PrivateBroker) -> OtaWorld:
    return OtaWorld(tmp_path, own_mosquitto)


def labels(results: list[Any]) -> list[str]:
    return [result.answer.label if result.answer is not None else "default" for result in results]


def test_a_bundle_comes_to_shadow_then_serves_by_schedule_alone_and_nothing_restarts(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> None:
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            assert labels(await watcher.answered(watcher.ask())) == ["old"]
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "shadow")
            line = await watcher.phase("shadow")
            assert {slot.model: slot.state for slot in line.slots} == {"champion": "active", "champion-b": "shadow"}
            pids = {name: supervisor.pid(name) for name in SLOTS}
            beside = watcher.ask_many(20)
            both = {"champion", "champion-b", "canary"}
            await watcher.until(lambda: all(both <= watcher.words[request_id].keys() for request_id in beside))
            assert set(labels(await watcher.answered(*beside))) == {"old"}
            # The trial in shadow: asked everything, answered everything, never official, never agreed.
            await watcher.until(lambda: (trial := watcher.trial) is not None and trial.answered == 20)
            trial = watcher.trial
            assert trial is not None
            assert (trial.version, trial.requests, trial.official, trial.labels) == ("2.0.0", 20, 0, {"new": 20})
            assert {one.model: (one.same, one.of) for one in trial.agreements} == {
                "champion": (0, 20),
                "canary": (0, 20),
            }
            world.roll_out("2.0.0", "serving")
            asked = watcher.ask_many(50)
            await watcher.phase("serving")
            asked += watcher.ask_many(20)
            after = await watcher.answered(*asked)
            assert set(labels(after[-20:])) == {"new"}
            assert {result.cause for result in after} == {"preferred"}
            assert {name: supervisor.pid(name) for name in SLOTS} == pids
            assert sum(supervisor.restarts(name) for name in SLOTS) == 0
            watcher.assert_each_answered_once_in_time()
            marks = [event.kind for event in watcher.events()]
            assert marks.index("ota-shadow") < marks.index("ota-promoted")
            assert "ota" in {event.data.get("author") for event in watcher.events() if event.kind == "schedule-applied"}
            # Every report is signed by the same key.
            assert {verify(payload, watcher.reports[0].key_id) for payload in watcher.payloads} == {"good"}

    run(main(), timeout=60)


def test_an_aborted_roll_out_returns_within_a_second_of_the_decision_and_loses_no_request(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> float:
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            world.publish("2.0.0", SAYS.format(label="bad"), label="bad")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving")
            assert labels(await watcher.answered(watcher.ask())) == ["bad"]
            before = supervisor.pid("model-nest-champion")
            world.roll_out("2.0.0", "previous", state="aborted")
            await watcher.phase("returning", "idle")  # decided
            decided = time.monotonic()
            while labels(await watcher.answered(watcher.ask())) != ["old"]:
                pass
            took = time.monotonic() - decided
            await watcher.phase("idle")
            assert set(labels(await watcher.answered(*watcher.ask_many(20)))) == {"old"}
            assert supervisor.pid("model-nest-champion") == before
            assert "model-nest-champion-b" not in {role.name for role in supervisor.roles}
            watcher.assert_each_answered_once_in_time()
        return took

    assert run(main(), timeout=60) < 1


def test_a_new_champion_that_dies_is_answered_for_by_the_old_one_and_taken_back(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            world.publish("2.0.0", DIES)
            world.roll_out("2.0.0", "serving")
            await watcher.answered(watcher.ask())  # number 0, which it survives
            await watcher.phase("serving")
            while not (watcher.line is not None and watcher.line.phase == "failed"):
                assert set(labels(await watcher.answered(watcher.ask()))) <= {"old", "here"}
            line = await watcher.phase("failed")
            assert {slot.version: slot.state for slot in line.slots} == {"1.0.0": "active", "2.0.0": "rejected"}
            assert "its process ended 3 times" in line.problem
            assert set(labels(await watcher.answered(*watcher.ask_many(5)))) == {"old"}
            watcher.assert_each_answered_once_in_time()

    run(main(), timeout=60)


def test_a_champion_that_is_warm_answers_its_first_request_as_fast_as_the_hundredth_and_is_stood_in_for_when_killed(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> None:
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            world.publish("2.0.0", SLOW_AT_FIRST, label="new")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving")  # nobody has asked it anything yet
            asked = [watcher.ask() for _ in range(100)]
            assert set(labels(await watcher.answered(*asked))) == {"new"}
            times = [word.compute_ms for one in asked if isinstance(word := watcher.words[one]["champion-b"], Score)]
            assert len(times) == 100
            assert times[0] < FIRST_MS / 2
            # L9: killed under load, the old one stands by and answers within the deadline, every request.
            asked = watcher.ask_many(20)
            supervisor.kill("model-nest-champion-b", signal.SIGKILL)
            asked += watcher.ask_many(30)
            assert set(labels(await watcher.answered(*asked))) <= {"new", "old"}
            assert supervisor.restarts("model-nest-champion") == 0
            while labels(await watcher.answered(watcher.ask())) != ["new"]:
                pass
            watcher.assert_each_answered_once_in_time()

    run(main(), timeout=60)


def test_an_operators_schedule_is_followed_with_the_slots_in_place_of_the_model(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving")
            await watcher.publish(schedule((0, ["fast"]), (600, ["fast", MODEL]), ignore=("canary",)))
            own = [event for event in watcher.events() if event.kind == "schedule-applied"]
            await watcher.until(
                lambda: (
                    [event for event in watcher.events() if event.kind == "schedule-applied"][-1].data["author"]
                    == "ota"
                )
            )
            assert labels(await watcher.answered(watcher.ask())) == ["here"]
            await watcher.publish(SCHEDULE)
            while labels(await watcher.answered(watcher.ask())) != ["new"]:
                pass
            applied = [event for event in watcher.events() if event.kind == "schedule-applied"]
            assert len(applied) - len(own) <= 4  # each of the operator's, and one of ours behind it: no loop
            watcher.assert_each_answered_once_in_time()

    run(main(), timeout=60)


def test_a_device_that_starts_again_runs_what_its_slots_hold_and_goes_on_from_there(
    run: Callable[..., Any], world: OtaWorld
) -> None:
    async def main() -> None:
        world.publish("2.0.0", SAYS.format(label="new"), label="new")
        world.roll_out("2.0.0", "serving")
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.phase("serving")
        world.publish("3.0.0", SAYS.format(label="bad"), label="bad")
        world.roll_out("3.0.0", "shadow", rollout="next", previous="2.0.0")
        shutil.rmtree(world.registry.public / "targets" / "files")  # nothing can be fetched: what is there must do
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            assert set(SLOTS) <= {role.name for role in supervisor.roles}
            # Until its slot is warm the one that is preferred after it answers, as it should.
            while labels(await watcher.answered(watcher.ask())) != ["new"]:
                pass
            line = await watcher.phase("failed")
            assert "(unreachable)" in line.problem or "not have" in line.problem
            assert labels(await watcher.answered(watcher.ask())) == ["new"]

    run(main(), timeout=60)


def test_a_stick_brings_what_the_registry_cannot_and_an_old_stick_brings_nothing(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    stick = tmp_path / "stick"
    world = OtaWorld(tmp_path, own_mosquitto, registry="http://127.0.0.1:9", sticks=[str(stick)])

    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "serving")
            await watcher.until(lambda: watcher.reports and watcher.reports[-1].problem)
            old = tmp_path / "old-stick"
            shutil.copytree(world.registry.public, old)
            world.publish("3.0.0", SAYS.format(label="old"), label="old")
            world.roll_out("3.0.0", "serving", rollout="next")
            shutil.copytree(world.registry.public, tmp_path / "copy")
            (tmp_path / "copy").rename(stick)
            await watcher.phase("serving", version="3.0.0")
            shutil.rmtree(stick)
            old.rename(stick)
            await watcher.until(lambda: "rollback" in watcher.reports[-1].problem)
            assert labels(await watcher.answered(watcher.ask())) == ["old"]
            line = watcher.line
            assert line is not None
            assert line.wanted == "3.0.0"

    run(main(), timeout=60)


def test_a_return_by_hand_counts_at_once_and_is_remembered(run: Callable[..., Any], world: OtaWorld) -> None:
    async def main() -> None:
        world.publish("2.0.0", SAYS.format(label="new"), label="new")
        world.roll_out("2.0.0", "serving")
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.phase("serving")
            reply = await world.command(do="return", why="smells")
            assert reply["to"] == "1.0.0"
            await watcher.phase("failed")
            assert set(labels(await watcher.answered(*watcher.ask_many(5)))) == {"old"}
            assert (await world.command(do="status"))["state"]["lines"][0]["wanted"] == "2.0.0"
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.phase("failed")
            assert labels(await watcher.answered(watcher.ask())) == ["old"]
            await world.command(do="allow", digest="2.0.0")
            await watcher.phase("serving")
            assert labels(await watcher.answered(watcher.ask())) == ["new"]

    run(main(), timeout=60)


def test_an_order_from_outside_hastens_a_look_and_nothing_else(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    world = OtaWorld(tmp_path, own_mosquitto, poll_s=86_400)

    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.until(lambda: watcher.counts["ota"].get("registry-asked"))
            world.publish("2.0.0", SAYS.format(label="new"), label="new")
            world.roll_out("2.0.0", "shadow")
            order = OtaOrder(timestamp=1, message_id="0" * 32, do="check")
            await watcher.bus.publish(world.device.topics.request("ota"), encode(order))
            await watcher.phase("shadow")

            asked, begun = watcher.counts["ota"]["registry-asked"], time.monotonic()
            while watcher.counts["ota"]["registry-asked"] < asked + 4:
                await watcher.bus.publish(world.device.topics.request("ota"), encode(order))
            # Three seconds between two looks, whoever shouts. One may have been due, and one more done than was told:
            # counts are told every two seconds.
            assert time.monotonic() - begun >= (4 - 2) * 3 - 2

    run(main(), timeout=60)


def test_files_that_the_device_has_already_do_not_travel_again(run: Callable[..., Any], world: OtaWorld) -> None:
    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            # The same model file as the delivered bundle, under a new version: nothing but the manifest travels.
            world.publish("2.0.0", SAYS.format(label="old"), label="old")
            shutil.rmtree(world.registry.public / "targets" / "files")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving")
            assert labels(await watcher.answered(watcher.ask())) == ["old"]

    run(main(), timeout=60)


def test_a_download_that_was_cut_goes_on_where_it_was(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    with raw_server(tmp_path / "registry" / "public") as server:
        world = OtaWorld(tmp_path, own_mosquitto, registry=server.address)
        new = world.publish("2.0.0", SAYS.format(label="new") + "# " + "x" * 300_000 + "\n", label="new")
        sha256 = new.manifest.files["model.py"].sha256
        data = (new.root / "model.py").read_bytes()

        def cut(connection: socket.socket, request: bytes) -> bool:
            if b"Range:" in request:
                return False
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data[:200_000])
            return True

        server.misbehave[sha256] = cut

        async def main() -> None:
            async with world.device.up(), Watcher(world.device) as watcher:
                world.roll_out("2.0.0", "shadow")
                await watcher.phase("shadow", version="2.0.0")
                asked = [first for path, first in server.requests if path.endswith(sha256)]
                assert asked[0] == ""
                assert asked[-1] == "bytes=200000-"

        run(main(), timeout=60)
