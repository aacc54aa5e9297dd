import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from central_world import T0, World, archived

from roost_broker.bus import Delivery
from roost_broker.errors import Misuse
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_models.central.reading import CentralArchive
from roost_models.central.replaying import replay_into

Run = Callable[..., Any]


async def heard(root: Path, **how: Any) -> list[tuple[str, bytes]]:
    """What a listener at the broker hears of a replay."""
    broker = MemoryBroker(max_queued=20)
    listener, speaker = MemoryBus(broker, "listener"), MemoryBus(broker, "speaker")
    found: list[tuple[str, bytes]] = []
    archive = CentralArchive(root)
    expected, complete = archive.count(), asyncio.Event()

    def take(delivery: Delivery) -> None:
        found.append((delivery.topic, delivery.payload))
        delivery.ack()
        if len(found) == expected:
            complete.set()

    listener.subscribe("roost/#", take)
    await listener.start()
    await speaker.start()
    await replay_into(archive.timeline(), speaker, **how)
    await complete.wait()
    await speaker.stop()
    await listener.stop()
    return found


@pytest.mark.parametrize("close", [False, True])
def test_the_same_topics_and_bytes_come_in_the_original_order(tmp_path: Path, run: Run, close: bool) -> None:
    world = World()
    messages = [
        world.say(f"roost/coop-{1 + number % 2}/henhouse/input", bytes([number % 256]) * number, at=T0 + number)
        for number in range(300)
    ]
    archived(tmp_path, *messages, close=close)
    assert run(heard(tmp_path, window=7)) == [(one.topic, one.payload) for one in messages]


def test_everything_can_be_said_as_another_device(tmp_path: Path, run: Run) -> None:
    world = World()
    archived(
        tmp_path,
        world.say("roost/coop-1/henhouse/input", b"x"),
        world.say("roost/coop-2/availability", b"y", at=T0 + 1),
    )
    found = run(heard(tmp_path, as_node="bench"))
    assert found == [("roost/bench/henhouse/input", b"x"), ("roost/bench/availability", b"y")]


def test_the_original_pace_is_kept_in_proportion(tmp_path: Path, run: Run) -> None:
    world = World()
    archived(tmp_path, *(world.say("roost/coop-1/henhouse/input", b"x", at=T0 + 100 * number) for number in range(4)))

    async def play() -> float:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "speaker")
        await bus.start()
        done = await replay_into(CentralArchive(tmp_path).timeline(), bus, speed=10)
        await bus.stop()
        return done.seconds

    assert run(play()) >= 0.03


def test_nothing_to_say_is_said_so(tmp_path: Path, run: Run) -> None:
    async def play() -> int:
        bus = MemoryBus(MemoryBroker(), "speaker")
        await bus.start()
        done = await replay_into([], bus)
        await bus.stop()
        return done.messages

    assert run(play()) == 0


@pytest.mark.parametrize("how", [{"speed": -1}, {"window": 0}, {"as_node": "a/b"}])
def test_what_cannot_be_meant_is_refused(run: Run, how: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        run(replay_into([], MemoryBus(MemoryBroker(), "speaker"), **how))
