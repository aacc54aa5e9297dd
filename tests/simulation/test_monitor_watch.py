"""The watch's shell on a bus in memory: what is acknowledged when, and what a card and a broker that fail cost."""

import sqlite3
from contextlib import closing
from pathlib import Path

from monitor_world import NEST, World

from roost_broker.messages import Alarms, decode
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.journal import Journal, rows_of, unpacked


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
    assert again.head() == (2, 3, {"now": 2}, {"a", "b"})
    assert unpacked(again.saved() or b"") == {"core": 7}
    assert again.page(2, 3, 10) == [(3, b"3")]
    assert again.write([b"4"], [], None) == 4
    again.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM observed").fetchone() == (2,)


def test_a_journal_that_is_none_any_more_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database" * 1_000)
    journal = Journal(path)
    assert journal.saved() is None
    journal.close()
    assert path.with_suffix(".damaged").exists()


def test_a_broker_that_forgot_everything_is_told_the_list_of_alarms_again(tmp_path: Path) -> None:
    world = World(tmp_path, settings=AnalyticsSettings(settle_ms=100, look_s=3600))

    def told() -> bool:
        return any(isinstance(one, Alarms) for one in world.heard)

    async def story() -> None:
        await world.until(told)
        world.heard.clear()
        world.broker.restart(forget=True)
        assert world.broker.retained(NEST.alarms) is None
        await world.until(told)

    async def main() -> None:
        await world.monitored(story, 1)

    world.run(main)
