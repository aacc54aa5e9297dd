"""The monitor's watch on a real Mosquitto: rows in, an alarm out, acknowledged; killed in between, nothing is lost."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from watch_device import DEVICE, FLOW, Ear, learn, monitor, write_settings
from watch_story import MINUTE_MS, WatchStory

from roost_broker.messages import Alarm, Alarms, Ask, Reply, RoleState
from roost_broker.mosquitto import PrivateBroker
from roost_rendezvous.analytics.sketches.schema import sketch_of
from roost_rendezvous.monitor.journal import rows_of

pytestmark = [pytest.mark.broker, pytest.mark.processes]

HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    return write_settings(tmp_path, own_mosquitto.port)


def windows(folder: Path) -> float:
    """How many official answers all windows on the card hold together."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "sketches.db")) as db:
        rows = db.execute(
            'SELECT body FROM periods JOIN combinations ON combination = id WHERE about LIKE \'%"kind":"answer"%\''
        )
        return sum(sketch.count for (body,) in rows if (sketch := sketch_of(body)) is not None)


def test_rows_in_and_one_alarm_out_which_somebody_acknowledges_though_the_monitor_was_killed_twice(
    settings: Path, own_mosquitto: PrivateBroker
) -> None:
    now_ms = time.time_ns() // 1_000_000
    now_ms -= now_ms % HOUR_MS  # the story lies alike on the monitor's looks, whenever it is told
    story = WatchStory(FLOW, now_ms - 128 * HOUR_MS)
    learn(story, now_ms - 8 * HOUR_MS, settings)

    async def main() -> None:
        ear = Ear(own_mosquitto.port)
        await ear.bus.start()
        with monitor(settings) as first:
            await ear.ready(1)
            first.kill()
        await ear.say(story.until(now_ms - 5 * HOUR_MS))  # 1. all of it while nobody is there
        story.relabelled = True
        await ear.say(story.until(now_ms - HOUR_MS))
        with monitor(settings) as second:  # 2. heard, told, and killed before anything was saved
            opened = await ear.until(lambda one: isinstance(one, Alarm) and one.change == "opened")
            second.kill()
        assert isinstance(opened, Alarm)
        assert opened.alarm.task == "henhouse"
        assert opened.alarm.signals[0].about == "champion"
        with monitor(settings) as third:  # 3. knows of it, and does not tell it again
            await ear.ready(3)
            await ear.behind(3, 0, 0)
            since = await acknowledge(ear, opened.alarm.alarm_id)
            await ear.until(
                lambda one: isinstance(one, RoleState) and one.timestamp > since and one.counts.get("watch-open") == 0
            )
            third.terminate()
            third.wait(120)
        await ear.bus.stop()
        told = [one.alarm.alarm_id for one in ear.heard if isinstance(one, Alarm) and one.change == "opened"]
        assert len(told) == len(set(told))
        lists = [one for one in ear.heard if isinstance(one, Alarms) and one.task == "henhouse"]
        assert "model" in {alarm.verdict for one in lists for alarm in one.open}

    asyncio.run(main())
    folder = settings.parent / "data" / "analytics"
    rows = [row.request_id for row in rows_of(folder / "journal.db")]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(story.requests)
    assert 0 < windows(folder) <= len(rows)


async def acknowledge(ear: Ear, alarm: str) -> int:
    """Returns when the monitor told it."""
    data: dict[str, Any] = {"alarm": alarm, "by": "keeper"}
    head: dict[str, Any] = {"timestamp": 1, "message_id": "0" * 32}
    ask = Ask(**head, verb="acknowledge", transaction="t", data=data)
    await ear.say([(DEVICE.request("acknowledge"), ask)])
    answer = await ear.until(lambda one: isinstance(one, Reply) and one.transaction == "t")
    assert isinstance(answer, Reply)
    assert answer.status == "ok", json.dumps(answer.data)
    known = await ear.until(lambda one: isinstance(one, Alarm) and one.change == "acknowledged")
    assert isinstance(known, Alarm)
    assert known.alarm.acknowledged_by == "keeper"
    return known.timestamp
