"""The monitor's watch on a real Mosquitto: rows in, an alarm out, acknowledged; killed in between, nothing is lost."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from watch_story import MINUTE_MS, WatchStory

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.messages import Alarm, Alarms, Ask, Message, Reply, RoleState, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.settings.loading import load
from roost_rendezvous.analytics.sketches.schema import sketch_of
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.steady import Steady
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.analytics.watch.windowing import Windowing
from roost_rendezvous.monitor.journal import rows_of
from roost_rendezvous.monitor.watch_cards import Cards

pytestmark = [pytest.mark.broker, pytest.mark.processes]

DEVICE = NodeTopics("coop-1")
FLOW = DEVICE.task("henhouse")
HOUR_MS = 60 * MINUTE_MS
SETTINGS = """
[node]
name = "coop-1"
data = "data"
[broker]
port = {port}
[tasks.henhouse]
schedule = "schedule.toml"
[traces]
flush_ms = 100
[analytics]
look_s = 600
settle_ms = 1000
[analytics.alarms]
least_history_days = 2.0
least_readings = 100
least_calibration_hours = 24.0
least_events_per_hour = 0.0
"""


class Ear:
    """Hears what the monitor says, and speaks to it."""

    def __init__(self, port: int) -> None:
        self.bus = MqttBus(BrokerSettings(port=port), "ear")
        self.heard: list[Message] = []
        self._news = asyncio.Event()
        for topic in (DEVICE.all_roles, FLOW.alarms, FLOW.alarm, DEVICE.response("acknowledge")):
            self.bus.subscribe(topic, self._take)

    def _take(self, delivery: Delivery) -> None:
        with suppress(Malformed):
            self.heard.append(decode(delivery.payload))
        delivery.ack()
        self._news.set()

    async def until(self, condition: Callable[[Message], object]) -> Message:
        """The first message that fits, of those heard and to come."""
        async with asyncio.timeout(240):
            while True:
                for one in self.heard:
                    if condition(one):
                        return one
                self._news.clear()
                await self._news.wait()

    async def say(self, messages: Iterator[tuple[str, Message]]) -> None:
        """Publish, and wait until the broker has all of it."""
        await asyncio.gather(*[self.bus.publish(topic, encode(message)) for topic, message in messages])

    async def ready(self, session: int) -> None:
        """The monitor's process of this session works."""
        await self.until(lambda one: isinstance(one, RoleState) and one.state == "ready" and one.session == session)


@contextmanager
def monitor(settings: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The role as a process; it is killed at the end if it still runs."""
    command = [sys.executable, "-m", "roost_edge.daemon", "--name", "monitor", "--settings", str(settings)]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def settings(tmp_path: Path, own_mosquitto: PrivateBroker) -> Path:
    path = tmp_path / "roost.toml"
    path.write_text(SETTINGS.format(port=own_mosquitto.port), encoding="utf-8")
    (tmp_path / "schedule.toml").write_text('task = "henhouse"\nsla_ms = 2000\n', encoding="utf-8")
    return path


def windows(folder: Path) -> float:
    """How many official answers all windows on the card hold together."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "sketches.db")) as db:
        rows = db.execute(
            'SELECT body FROM periods JOIN combinations ON combination = id WHERE about LIKE \'%"kind":"answer"%\''
        )
        return sum(sketch.count for (body,) in rows if (sketch := sketch_of(body)) is not None)


def learn(story: WatchStory, until_ms: int, settings: Path) -> None:
    """What a monitor would know of all that happened until then, on the card as one that ran has left it."""
    chosen = load(settings).analytics
    watch, clock = Watching(chosen, Windowing()), SystemClock()
    for _, message in story.until(until_ms):
        if (one := observe(message, "henhouse", message.timestamp * MS)) is not None:
            watch.handle(one)
    cards = Cards(settings.parent / "data" / "analytics", chosen, Counter())
    steady = Steady(boot_id(), clock.monotonic_ns(), clock.wall_ns(), credible=True)
    rows, closed = watch.take_rows(), watch.take_closed()
    cards.write([], [], rows, steady.snapshot(), watch.snapshot(), closed, until_ms * MS)
    cards.close()


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
    await ear.bus.publish(DEVICE.request("acknowledge"), encode(ask))
    answer = await ear.until(lambda one: isinstance(one, Reply) and one.transaction == "t")
    assert isinstance(answer, Reply)
    assert answer.status == "ok", json.dumps(answer.data)
    known = await ear.until(lambda one: isinstance(one, Alarm) and one.change == "acknowledged")
    assert isinstance(known, Alarm)
    assert known.alarm.acknowledged_by == "keeper"
    return known.timestamp
