"""What people order of a camera, on the memory bus."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from roost_broker.clock import SystemClock
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Reply, decode
from roost_broker.topics import NodeTopics
from roost_edge.capture.asking import Asked
from roost_edge.capture.orders import Orders

NODE = NodeTopics("coop-1")


class Scene:
    """A camera's orders, and somebody who gives some."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        broker = MemoryBroker()
        self.bus, self.person = MemoryBus(broker, "capture"), MemoryBus(broker, "person")
        self.counts: Counter[str] = Counter()
        camera, clock = NODE.camera("nest"), SystemClock()
        self.orders = Orders(self.bus, camera, folder, role="capture-nest", clock=clock, counts=self.counts, **settings)
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()
        self.person.subscribe(NODE.response("picture"), self._hear)

    def _hear(self, delivery: Any) -> None:
        delivery.ack()
        message = decode(delivery.payload)
        assert isinstance(message, Reply)
        self.replies.put_nowait(message)

    async def ask(self, payload: bytes, times: int = 1) -> None:
        for _ in range(times):
            await self.person.publish(NODE.request("picture"), payload)

    async def heard(self, count: int) -> None:
        while self.counts["asked-picture"] < count:
            await asyncio.to_thread(lambda: None)

    async def __aenter__(self) -> "Scene":
        await self.bus.start()
        await self.person.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.person.stop()
        await self.bus.stop()


def test_whoever_asks_for_a_picture_is_answered_with_its_request(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Scene(tmp_path) as scene:
            await scene.ask(b'{"camera": "nest", "transaction": "t"}')
            await scene.ask(b"")
            await scene.ask(b'{"camera": "yard"}')
            await scene.heard(3)
            asked = scene.orders.take()
            assert (len(asked), scene.orders.take()) == (2, ()), "another camera's is not ours, each is taken once"
            scene.orders.done(asked, Asked("f" * 32, b""))
            first, second = await scene.replies.get(), await scene.replies.get()
            assert (first.transaction, first.data) == ("t", {"camera": "nest", "requestId": "f" * 32})
            assert second.status == "ok"

    run(main())


def test_without_room_without_frames_and_beyond_the_bound_the_answer_says_why(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Scene(tmp_path) as scene:
            await scene.ask(b"{}", times=9)
            assert "waited for already" in (await scene.replies.get()).problem
            scene.orders.done(scene.orders.take(), None)
            problems = [(await scene.replies.get()).problem for _ in range(8)]
            assert set(problems) == {"nest has no room for pictures."}
        async with Scene(tmp_path, patience_s=0.0) as scene:
            await scene.ask(b"{}")
            reply = await scene.replies.get()
            assert (reply.status, "has delivered nothing" in reply.problem) == ("error", True)
            assert scene.orders.take() == ()

    run(main())
