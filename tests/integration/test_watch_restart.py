"""A monitor with a long journal, as one that lost its power has it: ready at once, ended at any moment, and right."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from watch_device import FLOW, Ear, heard, leave_behind, monitor, write_settings
from watch_story import MINUTE_MS, WatchStory

from roost_broker.clock import MS
from roost_broker.messages import Alarm, Message, RoleState
from roost_broker.mosquitto import PrivateBroker
from roost_edge.settings.loading import load
from roost_rendezvous.analytics.watch.observed import Observed
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.monitor.journal import Journal, rows_of

pytestmark = [pytest.mark.broker, pytest.mark.processes]

HOUR_MS = 60 * MINUTE_MS


def without_a_restart(settings: Path, observed: list[Observed]) -> set[str]:
    """What one that heard all of it at once tells."""
    watch = Watching(load(settings).analytics)
    return {told.key for one in observed for told in watch.handle(one)}


def left(folder: Path) -> tuple[int, int]:
    """Observations in the journal, and how many of them no save covers."""
    journal = Journal(folder / "journal.db")
    head = journal.head()
    rows = len(journal.page(0, head.newest, 100_000))
    journal.close()
    return rows, head.newest - head.upto


def told(folder: Path, until_ms: int) -> set[str]:
    """Keys of all that was told of what happened until then."""
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        keys = [key for (key,) in db.execute("SELECT key FROM told")]
    return {key for key in keys if int(key.rpartition(":")[2]) <= until_ms * MS}


def test_killed_and_ended_while_it_catches_up_the_monitor_is_ready_at_once_and_tells_what_it_would_have_told(
    tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    settings, folder = write_settings(tmp_path, own_mosquitto.port), tmp_path / "data" / "analytics"
    now_ms = time.time_ns() // MS
    now_ms -= now_ms % HOUR_MS  # the story lies alike on the monitor's looks, whenever it is told
    story = WatchStory(FLOW, now_ms - 128 * HOUR_MS)
    before = heard(story.until(now_ms - 8 * HOUR_MS))
    leave_behind(before, settings)
    meanwhile: list[tuple[str, Message]] = [*story.until(now_ms - 5 * HOUR_MS)]
    story.relabelled = True
    meanwhile += story.until(now_ms - HOUR_MS)
    expected = without_a_restart(settings, before + heard(meanwhile))
    assert any(":opened:" in key for key in expected)

    async def main() -> None:
        ear = Ear(own_mosquitto.port)
        await ear.bus.start()
        with monitor(settings) as first:
            await ear.ready(1)
            await ear.behind(1, 1, len(before))  # ready, and not done
            await ear.say(meanwhile[: len(meanwhile) // 2])
            await ear.until(lambda one: isinstance(one, RoleState) and one.counts.get("watch-saved-bytes"))
            first.kill()
            first.wait()
        assert 0 < left(folder)[1] < len(before) + len(meanwhile) // 2  # it got on
        with monitor(settings) as second:
            await ear.ready(2)
            await ear.say(meanwhile[len(meanwhile) // 2 :])
            await ear.behind(2, 1, len(before) // 2)
            second.terminate()
            assert second.wait(120) == 0
        rows, behind = left(folder)
        assert rows == behind  # what a save covers is gone, what it does not is there
        assert 0 < behind < len(before) + len(meanwhile)
        with monitor(settings) as third:
            await ear.ready(3)
            await ear.until(lambda one: isinstance(one, Alarm) and one.change == "opened")
            await ear.behind(3, 0, 0)
            # The newest request settles when time passes again.
            await ear.until(
                lambda one: (
                    isinstance(one, RoleState)
                    and (one.session, one.counts.get("watch-behind"), one.counts.get("watch-open")) == (3, 0, 0)
                )
            )
            third.terminate()
            assert third.wait(120) == 0
        await ear.bus.stop()

    asyncio.run(main())
    assert left(folder) == (0, 0)
    assert told(folder, story.now_ms) == {key for key in expected if int(key.rpartition(":")[2]) <= story.now_ms * MS}
    assert {row.request_id for row in rows_of(folder / "journal.db")} == set(story.requests)
