"""The watch's shell on a bus in memory: what is acknowledged when, and what a card and a broker that fail cost."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Alarms, Answer, Input, Message, Request, Result, RoleState, decode, encode
from roost_broker.topics import NodeTopics
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.journal import Journal, rows_of
from roost_rendezvous.monitor.role import Monitor
from roost_rendezvous.monitor.watch_desk import WatchDesk
from roost_rendezvous.traces.settings import TraceSettings

DEVICE = NodeTopics("coop-1")
NEST = DEVICE.task("nest")
CLOCK = SystemClock()
QUICK = TraceSettings(settle_ms=100, flush_ms=10)


class World:
    """A broker in memory, somebody who speaks, and monitors that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = MemoryBroker(clock=CLOCK)
        self.bus = MemoryBus(self.broker, "speaker")
        self.heard: list[Message] = []
        self._news = asyncio.Event()
        for topic in (DEVICE.all_roles, NEST.alarms):
            self.bus.subscribe(topic, self._take)

    def _take(self, delivery: Delivery) -> None:
        self.heard.append(decode(delivery.payload))
        delivery.ack()
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(240):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def says(self, name: str, count: int) -> Callable[[], object]:
        """Whether the monitor's own state tells so many."""
        return lambda: any(isinstance(one, RoleState) and one.counts.get(name, 0) >= count for one in self.heard)

    def ask(self, number: int) -> None:
        """A request with its result."""
        at = CLOCK.wall_ns()
        request, head = f"{number:032x}", {"timestamp": at // MS, "message_id": new_id(at)}
        asked = Request(**head, request_id=request, return_address="x", deadline_ms=9, input=Input())  # type: ignore[arg-type]  # as they are made
        self.bus.publish(NEST.input, encode(asked))
        head = {"timestamp": at // MS, "message_id": new_id(at)}
        answer = Answer(model="quick", version="1", label="hen", score=0.5)
        result = Result(**head, request_id=request, cause="preferred", answer=answer, elapsed_ms=1, sla_ms=9)  # type: ignore[arg-type]  # as above
        self.bus.publish(NEST.results("door"), encode(result))

    async def monitored(self, story: Callable[[], Awaitable[None]], session: int, *, killed: bool = False) -> Monitor:
        """A monitor works while the story goes on; a killed one writes no last word."""
        bus, stop = MemoryBus(self.broker, "monitor"), asyncio.Event()
        settings = AnalyticsSettings(settle_ms=100, look_s=1)

        def watch(counts: Counter[str]) -> WatchDesk:
            return WatchDesk(bus, DEVICE, ("nest",), self.folder, clock=CLOCK, counts=counts, settings=settings)

        monitor = Monitor(
            *(bus, [NEST], self.folder / "traces.db"),
            clock=CLOCK,
            node="coop-1",
            session=session,
            settings=QUICK,
            watch=watch,
        )
        running = asyncio.ensure_future(monitor.run(stop))
        await self.until(
            lambda: any(
                isinstance(one, RoleState) and (one.state, one.session) == ("ready", session) for one in self.heard
            )
        )
        await story()
        if killed:
            running.cancel()
            self.broker.cut("monitor", hold=True)
            await asyncio.gather(running, return_exceptions=True)
            self.broker.restore("monitor")
        else:
            stop.set()
            await running
        return monitor

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            await self.bus.start()
            await main()
            await self.bus.stop()

        asyncio.run(whole())


def test_what_came_while_the_monitor_was_away_is_in_the_rows_once(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def first() -> None:
        for number in range(5):
            world.ask(number)
        await world.until(world.says("watch-rows", 5))

    async def second() -> None:
        await world.until(world.says("watch-rows", 7))  # those that are new

    async def main() -> None:
        await world.monitored(first, 1)
        for number in range(3, 12):  # three of them again, as a broker may
            world.ask(number)
        world.heard.clear()
        await world.monitored(second, 2)

    world.run(main)
    assert [row.request_id for row in rows_of(tmp_path / "journal.db")] == [f"{number:032x}" for number in range(12)]


def test_a_card_that_cannot_be_written_costs_what_is_learnt_and_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    world = World(tmp_path)

    async def story() -> None:
        for number in range(300):  # more than may be unacknowledged at a time
            world.ask(number)
        await world.until(world.says("watch-rows", 300))

    async def main() -> None:
        monitor = await world.monitored(story, 1)
        assert monitor.counts["watch-journal-failed"] > 0

    world.run(main)


def test_a_save_of_another_version_is_left_aside_and_learning_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.write([b"rubbish"], [], None)
    journal.save({"core": {"schema": "roost.watch/99"}, "closed": [], "batch": 3}, 1)
    journal.write([b"more rubbish"], [], None)
    journal.close()
    world = World(tmp_path)

    async def story() -> None:
        world.ask(1)
        await world.until(world.says("watch-rows", 1))

    async def main() -> None:
        monitor = await world.monitored(story, 1)
        assert monitor.counts["watch-unreadable"] == 1

    world.run(main)


def test_the_list_of_alarms_is_retained_and_says_why_there_can_be_none_yet(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        world.ask(1)
        await world.until(lambda: any(isinstance(one, Alarms) and one.signals for one in world.heard))

    async def main() -> None:
        await world.monitored(story, 1)

    world.run(main)
    told = decode(world.broker.retained(NEST.alarms) or b"")
    assert isinstance(told, Alarms)
    assert told.open == []
    assert "not" in told.why_not


def test_a_journal_is_saved_whole_and_then_holds_only_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    number = journal.write([b"1", b"2"], ["a"], {"now": 1})
    journal.save({"core": 7}, number)
    journal.write([b"3"], ["b"], {"now": 2})
    journal.close()
    again = Journal(path)
    kept = again.read()
    assert (kept.saved, kept.observed, kept.steady, kept.told) == ({"core": 7}, [b"3"], {"now": 2}, {"a", "b"})
    assert again.write([b"4"], [], None) == 4
    again.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM observed").fetchone() == (2,)


def test_a_journal_that_is_none_any_more_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database" * 1_000)
    journal = Journal(path)
    assert journal.read().saved is None
    journal.close()
    assert path.with_suffix(".damaged").exists()
