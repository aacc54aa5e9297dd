"""P5: the watch over the store, on a bus: what it hears, what it says, and that it is said once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_broker.bus import Delivery
from roost_broker.clock import SECOND, VirtualClock
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Event, StoreState, decode
from roost_broker.presence import RolePresence
from roost_broker.room import Room, keeper_counts
from roost_broker.topics import NodeTopics
from roost_edge.janitor.settings import StoreSettings
from roost_edge.janitor.watching import StoreWatching, database_sizes

COOP = NodeTopics("coop")
MB = 1_000_000


class Reader:
    """What people see of the store."""

    def __init__(self, bus: MemoryBus) -> None:
        self.states: list[StoreState] = []
        self.events: list[Event] = []
        self._news = asyncio.Event()
        bus.subscribe(COOP.store, self._heard)
        bus.subscribe(COOP.event, self._heard)

    def _heard(self, delivery: Delivery) -> None:
        delivery.ack()
        message = decode(delivery.payload)
        if isinstance(message, StoreState):
            self.states.append(message)
        elif isinstance(message, Event):
            self.events.append(message)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()


def test_a_keeper_that_stops_looking_is_told_of_once_and_again_when_it_looks(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "nest.db").write_bytes(b"x" * 1_000)
    (tmp_path / "requests" / "nest.db-wal").write_bytes(b"x" * 234)

    async def main() -> None:
        memory, clock = MemoryBroker(), VirtualClock()
        reading, deciding, keeping = (MemoryBus(memory, name) for name in ("reader", "desk", "decoy"))
        reader, looks = Reader(reading), iter(range(1, 10))
        settings = StoreSettings(look_s=3_600, late_s=300)
        watch = StoreWatching(
            *(deciding, COOP, ["decoy-nest"], tmp_path),
            clock=clock,
            settings=settings,
            measure=lambda _folder: Room(free=9_000 * MB, size=30_000 * MB),
        )
        watch.begin()
        decoy = RolePresence(
            *(keeping, COOP, "decoy-nest"),
            session=1,
            clock=clock,
            counts=lambda: keeper_counts(next(looks), 5 * MB, 10 * MB),
        )
        for bus in (reading, deciding, keeping):
            await bus.start()
        watching = asyncio.create_task(watch.run())
        try:
            decoy.ready()
            await reader.until(lambda: any(state.records for state in reader.states))
            assert reader.states[-1].records == {"requests/nest.db": 1_234}
            assert reader.states[-1].reserve_bytes == 200 * MB
            assert not reader.states[-1].alarms
            clock.advance(301 * SECOND)
            deciding.publish(COOP.role("stranger"), b"{}")  # what cannot be read is passed over
            watching.cancel()
            watching = asyncio.create_task(watch.run())  # the next look
            await reader.until(lambda: reader.states[-1].alarms and reader.events)
            (alarm,) = reader.states[-1].alarms
            assert (alarm.kind, alarm.who) == ("not-run", "decoy-nest")
            assert [event.kind for event in reader.events] == ["store-alarm"]
            assert reader.states[-1].keepers["decoy-nest"].held_bytes == 5 * MB
            decoy.publish()
            await reader.until(lambda: not reader.states[-1].alarms)
            await reader.until(lambda: [event.kind for event in reader.events] == ["store-alarm", "store-well"])
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            for bus in (reading, deciding, keeping):
                await bus.stop()

    run(main())


def test_sizes_are_of_the_databases_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "archive" / "nest").mkdir(parents=True)
    (tmp_path / "archive" / "nest" / "archive.db").write_bytes(b"x" * 10)
    (tmp_path / "alerts.db").write_bytes(b"x" * 3)
    (tmp_path / "note.txt").write_bytes(b"x")
    assert database_sizes(tmp_path) == {"alerts.db": 3, "archive/nest/archive.db": 10}
