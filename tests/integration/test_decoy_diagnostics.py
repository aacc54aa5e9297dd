"""What a request's diagnostics do to the decoy, and that its neighbours are archived as ever (V7)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.errors import Malformed
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import DeadLetter, Diagnostics, Event, Input, Receipt, Request, decode, encode
from roost_broker.topics import NodeTopics
from roost_models.archive.writing import Archive
from roost_models.decoy import Decoy

TOPICS = NodeTopics("coop-1").task("nest")
CLOCK = SystemClock()


def request(number: int, diagnostics: Diagnostics | None) -> bytes:
    return encode(
        Request(
            timestamp=number,
            message_id=new_id(number),
            request_id=f"{number:032x}",
            return_address=TOPICS.results("cam"),
            deadline_ms=2000,
            diagnostics=diagnostics,
            input=Input(values={"n": number}),
        )
    )


class World:
    """Three requests, of which the first asks for something, and what the decoy made of them."""

    def __init__(self) -> None:
        self.receipts: list[int] = []
        self.heard: list[Any] = []
        self.archived: list[int] = []
        self.counts: dict[str, int] = {}
        self._changed = asyncio.Event()

    def keep(self, delivery: Delivery) -> None:
        try:
            message = decode(delivery.payload)
            self.heard.append(message)
            if isinstance(message, Receipt):
                self.receipts.append(int(message.request_id, 16))
        except Malformed:
            self.receipts.append(-1)
        delivery.ack()
        self._changed.set()

    @property
    def letters(self) -> list[DeadLetter]:
        return [message for message in self.heard if isinstance(message, DeadLetter)]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def play(self, folder: Path, diagnostics: Diagnostics, *, qa: bool, receipts: int) -> None:
        broker = MemoryBroker()
        listener = MemoryBus(broker, "listener")
        for topic in (TOPICS.receipts, TOPICS.deadletter, TOPICS.device.event):
            listener.subscribe(topic, self.keep)
        await listener.start()
        with Archive(folder / "archive") as archive:
            bus = MemoryBus(broker, "decoy")
            decoy = Decoy(
                bus, TOPICS, archive, FrameStore(folder / "frames"), clock=CLOCK, node="coop-1", session=1, qa=qa
            )
            stop, connected = asyncio.Event(), asyncio.Event()
            bus.on_connection(lambda up: connected.set())
            working = asyncio.ensure_future(decoy.run(stop))
            await connected.wait()
            for number in (1, 2, 3):
                await listener.publish(TOPICS.input, request(number, diagnostics if number == 1 else None))
            await self.until(lambda: len(self.receipts) == receipts)
            await self.until(lambda: len(self.letters) == decoy.counts["fault-error"])
            stop.set()
            await working
            self.archived = sorted(int(item.request_id, 16) for item in archive.inputs())
            self.counts = dict(decoy.counts)
        await listener.stop()


def played(run: Any, folder: Path, diagnostics: Diagnostics, *, qa: bool = True, receipts: int) -> World:
    world = World()
    run(world.play(folder, diagnostics, qa=qa, receipts=receipts))
    return world


@pytest.mark.parametrize(
    ("fault", "receipts", "archived"),
    [
        ("slow:50", [2, 3, 1], [1, 2, 3]),
        ("drop", [2, 3], [2, 3]),
        ("error", [2, 3], [2, 3]),
        ("wrong", [-1, 2, 3], [1, 2, 3]),
    ],
)
def test_a_decoy_told_to_suffer_hurts_that_one_request_alone(
    run: Any, tmp_path: Path, fault: str, receipts: list[int], archived: list[int]
) -> None:
    asked = Diagnostics(faults=[{"component": "decoy", "fault": fault}])
    world = played(run, tmp_path, asked, receipts=len(receipts))
    assert (world.receipts, world.archived) == (receipts, archived)
    assert world.counts[f"fault-{fault.split(':')[0]}"] == 1
    assert len(world.letters) == (fault == "error")


def test_outside_qa_the_decoy_archives_everything_and_says_what_it_refused(run: Any, tmp_path: Path) -> None:
    asked = Diagnostics(faults=[{"component": "decoy", "fault": "drop"}])
    world = played(run, tmp_path, asked, qa=False, receipts=3)
    assert world.archived == [1, 2, 3]
    assert world.counts["diagnostics-refused-fault"] == 1
    assert [one.kind for one in world.heard if isinstance(one, Event)] == ["diagnostics-refused-fault"]
