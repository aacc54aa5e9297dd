"""Several processes of one model: who takes what, in which order, and what happens when one of them is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from scaffold_world import Place, Watcher, bundle_in, question, serving

from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Score
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics
from roost_models.scaffold.partition import Partition, owner


def test_replicas_without_a_key_share_the_requests_and_each_is_answered_once(
    place: Place, tmp_path: Path, run: Any
) -> None:
    bundle = bundle_in(tmp_path, queue={"max_waiting": 50})

    async def main() -> None:
        async with AsyncExitStack() as stack:
            served = [
                await stack.enter_async_context(
                    serving(place, bundle, FrameStore(tmp_path), partition=Partition(number, 2))
                )
                for number in (1, 2)
            ]
            watcher = served[0][0]
            asked = [question() for _ in range(40)]
            for request in asked:
                await watcher.ask(request)
            answered = [(await watcher.score()).request_id for _ in asked]
            assert sorted(answered) == sorted(request.request_id for request in asked)
            counts = [scaffold.counts["answered"] for _, scaffold in served]
            assert sum(counts) == 40
            assert min(counts) > 0

    run(main())


def test_with_a_key_each_value_keeps_its_replica_and_its_order_and_the_others_say_nothing(
    place: Place, tmp_path: Path, run: Any
) -> None:
    bundle = bundle_in(tmp_path, queue={"max_waiting": 50})
    cameras = [f"camera-{number}" for number in range(8)]

    async def main() -> None:
        async with AsyncExitStack() as stack:
            served = [
                await stack.enter_async_context(
                    serving(place, bundle, FrameStore(tmp_path), partition=Partition(number, 2, "camera"))
                )
                for number in (1, 2)
            ]
            watcher = served[0][0]
            asked = [question(tags={"camera": camera}) for _ in range(5) for camera in cameras]
            for request in asked:
                await watcher.ask(request)
            answered = [(await watcher.score()).request_id for _ in asked]
            for camera in cameras:
                mine = [request.request_id for request in asked if request.tags["camera"] == camera]
                assert [name for name in answered if name in mine] == mine
            for number, (_, scaffold) in enumerate(served, 1):
                expected = 5 * sum(owner(camera, 2) == number for camera in cameras)
                assert scaffold.counts["answered"] == expected
                assert scaffold.counts["not_mine"] == 40 - expected

    run(main())


def test_a_sharing_replica_that_ends_in_order_declines_what_it_has_not_done(
    place: Place, tmp_path: Path, run: Any
) -> None:
    from roost_broker.faults import Fault

    async def main() -> None:
        bundle = bundle_in(tmp_path)
        hang = Fault.parse("hang")
        whole = Partition(1, 2)
        async with serving(place, bundle, FrameStore(tmp_path), faults=hang, partition=whole) as (watcher, scaffold):
            await watcher.ask(question())
            while not scaffold.counts["requests"]:
                await watcher.state("ready")
        assert scaffold.counts["declined_not_ready"] == 1

    run(main())


def test_a_request_dealt_to_a_sharing_replica_while_it_ends_is_declined_too(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    """1. One request is computed, one waits. 2. The replica ends. 3. The broker deals it one more."""
    from roost_broker.faults import Fault

    async def main() -> None:
        hang, first = Fault.parse("hang"), Partition(1, 2)
        serve = serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang, partition=first)
        async with serve as (watcher, scaffold):
            for _ in range(2):
                await watcher.ask(question())
            while scaffold.counts["requests"] < 2:
                await watcher.state("ready")
            scaffold._desk.dismiss()
            late = question()
            await watcher.ask(late)
            said = [await watcher.declined() for _ in range(3)]
            assert said[-1].request_id == late.request_id
            assert {(one.reason, one.detail) for one in said} == {("not-ready", "This replica ends.")}

    run(main())


def test_a_model_that_remembers_is_not_shared_without_a_key(memory: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, pure=False)
        async with serving(memory, bundle, FrameStore(tmp_path), partition=Partition(1, 2, "camera")):
            pass
        with pytest.raises(Misuse, match="Give its settings a key"):
            async with serving(memory, bundle, FrameStore(tmp_path), partition=Partition(1, 2)):
                pass

    run(main())


@contextmanager
def replica(settings: Path, number: int, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The real process, as `roost run` makes it."""
    words = ["model", "--model", "champion", "--replica", str(number), "--settings", str(settings), *more]
    process = subprocess.Popen([sys.executable, "-m", "roost_edge.daemon", *words], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.broker
@pytest.mark.processes
def test_a_killed_replica_leaves_all_that_comes_to_the_other_and_what_it_held_is_answered_when_asked_again(
    own_mosquitto: PrivateBroker, tmp_path: Path, run: Any
) -> None:
    """1. Replica 1 hangs on its share. 2. It is killed. 3. The other takes all. 4. What was held is asked again."""
    bundle = bundle_in(tmp_path, queue={"max_waiting": 50})
    topics = NodeTopics("coop-7").task("nest")
    schedule = tmp_path / "schedule.toml"
    schedule.write_text(
        'task = "nest"\nsla_ms = 2000\n[[step]]\nafter_ms = 0\naccept = ["champion"]\n'
        '[default]\nafter_ms = 1900\nlabel = "unknown"\n'
    )
    settings = tmp_path / "roost.toml"
    settings.write_text(
        f'[node]\nname = "coop-7"\ndata = "{tmp_path / "data"}"\nqa = true\n[broker]\nport = {own_mosquitto.port}\n'
        f'[tasks.nest]\nschedule = "{schedule}"\n[tasks.nest.models.champion]\nbundle = "{bundle.root}"\nreplicas = 2\n'
    )

    async def main() -> None:
        watcher = Watcher(MqttBus(own_mosquitto.settings(), "watcher"), topics)
        watcher.listen()
        await watcher.bus.start()
        with replica(settings, 1, "--fault", "hang") as first, replica(settings, 2):
            ready = {(await watcher.state("ready")).replica}
            while ready != {1, 2}:
                ready.add((await watcher.state("ready")).replica)
            before = [question() for _ in range(6)]
            for request in before:
                await watcher.ask(request)
            done = {(await watcher.score()).request_id for _ in range(3)}
            first.send_signal(signal.SIGKILL)
            assert (await watcher.state("gone")).replica == 1
            after = [question() for _ in range(6)]
            for request in after:
                await watcher.ask(request)
            assert {(await watcher.score()).request_id for _ in after} == {request.request_id for request in after}
            held = [request for request in before if request.request_id not in done]
            for request in held:
                await watcher.ask(request)
            again = [await watcher.said.get() for _ in held]
            assert all(isinstance(said, Score) for said in again)
            assert {said.request_id for said in again if isinstance(said, Score)} == {r.request_id for r in held}
        await watcher.bus.stop()

    run(main(), timeout=30)
