import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import VirtualClock
from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import FrameRef, Input, Request, Token, encode
from roost_broker.mirror import Mirror, Shelves
from roost_broker.topics import NodeTopics

PROD, DESK = NodeTopics("coop-1"), NodeTopics("desk")


def request(number: int, frame: FrameRef | None = None) -> Request:
    return Request(
        timestamp=number,
        message_id=new_id(number),
        request_id=new_id(number),
        return_address=PROD.task("nest").results("door"),
        deadline_ms=2000,
        input=Input(frame=frame, values=None if frame else {"number": number}),
    )


class World:
    """Production's broker, the developer's, and a mirror between them."""

    def __init__(self, *, shelves: Shelves | None = None, streams: Any = ("input",), max_queued: int = 1000) -> None:
        self.production, self.desk = MemoryBroker(), MemoryBroker()
        self.source = MemoryBus(self.production, "mirror")
        self.mirror = Mirror(
            self.source,
            MemoryBus(self.desk, "mirror", max_queued=max_queued),
            origin=PROD,
            copy=DESK,
            tasks=["nest"],
            streams=streams,
            shelves=shelves,
        )
        self.copies: list[tuple[str, bytes]] = []
        self.news = asyncio.Event()

    async def during(self, work: Callable[[MemoryBus], Coroutine[Any, Any, None]]) -> None:
        """Run `work` with a publisher on production while the mirror copies."""
        publisher, watcher = MemoryBus(self.production, "publisher"), MemoryBus(self.desk, "watcher")
        watcher.subscribe("roost/#", self._copied)
        await publisher.start()
        await watcher.start()
        stop, connected = asyncio.Event(), asyncio.Event()
        self.source.on_connection(lambda up: connected.set())
        running = asyncio.ensure_future(self.mirror.run(stop))
        await connected.wait()
        await work(publisher)
        stop.set()
        await running
        await publisher.stop()
        await watcher.stop()

    def _copied(self, delivery: Delivery) -> None:
        self.copies.append((delivery.topic, delivery.payload))
        self.news.set()
        delivery.ack()

    async def copied(self, count: int) -> None:
        while len(self.copies) < count:
            self.news.clear()
            await self.news.wait()


def test_requests_are_copied_to_the_byte_and_in_order_under_the_developers_node(run: Any) -> None:
    payloads = [encode(request(number)) for number in range(50)]
    payloads[7] = payloads[7][:-1] + b',"field-of-the-future":1}'

    async def scenario() -> World:
        world = World()

        async def work(publisher: MemoryBus) -> None:
            for payload in payloads:
                publisher.publish(PROD.task("nest").input, payload)
                publisher.publish(PROD.task("nest").raw, payload)  # not asked for
                publisher.publish(PROD.task("door").input, payload)  # another task
            await world.copied(50)

        await world.during(work)
        return world

    world = run(scenario())
    assert world.copies == [(DESK.task("nest").input, payload) for payload in payloads]
    assert world.mirror.counts == {"copied": 50}


def test_tokens_and_rubbish_are_not_copied_and_are_counted(run: Any) -> None:
    token = Token(
        timestamp=1,
        message_id=new_id(1),
        kind="transition",
        component="rendezvous",
        handover_id=new_id(2),
        old="rendezvous-nest",
        new="rendezvous-nest-b",
    )

    async def scenario() -> World:
        world = World(streams=("raw", "input"))

        async def work(publisher: MemoryBus) -> None:
            publisher.publish(PROD.task("nest").raw, encode(token))
            publisher.publish(PROD.task("nest").raw, b"\xff")
            publisher.publish(PROD.task("nest").raw, encode(request(1)))
            await world.copied(1)

        await world.during(work)
        return world

    world = run(scenario())
    assert [topic for topic, _ in world.copies] == [DESK.task("nest").raw]
    assert world.mirror.counts == {"copied": 1, "not-a-request": 2}


def test_a_developers_broker_that_is_away_costs_copies_and_production_nothing(run: Any) -> None:
    async def scenario() -> World:
        world = World(max_queued=10)

        async def work(publisher: MemoryBus) -> None:
            world.desk.cut("mirror", hold=True)
            for number in range(100):
                await publisher.publish(PROD.task("nest").input, encode(request(number)))
            while world.mirror.counts.total() < 100:  # noqa: ASYNC110 - turns of the loop, no waiting for time
                await asyncio.sleep(0)
            world.desk.restore("mirror")
            await world.copied(10)

        await world.during(work)
        return world

    world = run(scenario())
    assert world.mirror.counts == {"copied": 10, "dropped": 90}
    assert len(world.copies) == 10


def test_a_picture_is_there_before_its_request_and_a_missing_one_is_counted(run: Any, tmp_path: Path) -> None:
    shelves = Shelves(FrameStore(tmp_path / "prod"), FrameStore(tmp_path / "desk"))
    here = shelves.source.put(b"a picture", width=1, height=1)
    gone = FrameRef(sha256="0" * 64, bytes=5, path="x", width=1, height=1)

    async def scenario() -> World:
        world = World(shelves=shelves)

        async def work(publisher: MemoryBus) -> None:
            for number, frame in enumerate((here, gone, here)):
                publisher.publish(PROD.task("nest").input, encode(request(number, frame)))
            await world.copied(1)
            assert shelves.target.read(here) == b"a picture"
            await world.copied(3)

        await world.during(work)
        return world

    assert run(scenario()).mirror.counts == {"copied": 3, "frames": 1, "frames-missing": 1}


def test_a_mirror_of_nothing_is_refused() -> None:
    broker = MemoryBroker(clock=VirtualClock())
    with pytest.raises(Misuse, match="nothing to mirror"):
        Mirror(MemoryBus(broker, "a"), MemoryBus(broker, "b"), origin=PROD, copy=DESK, tasks=[])
