"""A device's monitor as a process, somebody who hears what it says, and what it knew before."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from watch_story import WatchStory

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.messages import Message, RoleState, decode, encode
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.settings.loading import load
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.observed import Observed, pack
from roost_rendezvous.analytics.watch.steady import Steady
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.analytics.watch.windowing import Windowing
from roost_rendezvous.monitor.journal import packed
from roost_rendezvous.monitor.watch_cards import Cards, Saving

DEVICE = NodeTopics("coop-1")
FLOW = DEVICE.task("henhouse")
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

    async def say(self, messages: Iterable[tuple[str, Message]]) -> None:
        """Publish, and wait until the broker has all of it."""
        await asyncio.gather(*[self.bus.publish(topic, encode(message)) for topic, message in messages])

    async def ready(self, session: int) -> None:
        """The monitor's process of this session works."""
        await self.until(lambda one: isinstance(one, RoleState) and one.state == "ready" and one.session == session)

    async def behind(self, session: int, least: int, most: int) -> int:
        """It says that so much is still to be handled; gives how much."""

        def is_so(one: Message) -> bool:
            behind = one.counts.get("watch-behind", -1) if isinstance(one, RoleState) else -1
            return isinstance(one, RoleState) and one.session == session and least <= behind <= most

        said = await self.until(is_so)
        assert isinstance(said, RoleState)
        return said.counts["watch-behind"]


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


def write_settings(folder: Path, port: int) -> Path:
    """Of a device that learns in days what takes weeks."""
    path = folder / "roost.toml"
    path.write_text(SETTINGS.format(port=port), encoding="utf-8")
    (folder / "schedule.toml").write_text('task = "henhouse"\nsla_ms = 2000\n', encoding="utf-8")
    return path


def heard(messages: Iterable[tuple[str, Message]]) -> list[Observed]:
    """As a monitor that was there has heard them."""
    found = (observe(message, "henhouse", message.timestamp * MS) for _, message in messages)
    return [one for one in found if one is not None]


def learn(story: WatchStory, until_ms: int, settings: Path) -> None:
    """What a monitor would know of all that happened until then, on the card as one that ran has left it."""
    chosen = load(settings).analytics
    watch = Watching(chosen, Windowing())
    for one in heard(story.until(until_ms)):
        watch.handle(one)
    rows, closed = watch.take_rows(), watch.take_closed()
    _on_the_card(settings, [], rows, watch.now, Saving(0, packed(watch.snapshot()), closed), until_ms)


def leave_behind(observed: Sequence[Observed], settings: Path) -> None:
    """A long journal and no save, as one that was killed before its first has left it."""
    _on_the_card(settings, [pack(one) for one in observed], [], max(one.heard for one in observed), None, 0)


def _on_the_card(
    settings: Path, bodies: list[bytes], rows: list[Row], reached: int, saving: Saving | None, now_ms: int
) -> None:
    clock = SystemClock()
    cards = Cards(settings.parent / "data" / "analytics", load(settings).analytics, Counter())
    steady = Steady(boot_id(), clock.monotonic_ns(), clock.wall_ns(), credible=True).snapshot()
    cards.write(bodies, [], rows, {"steady": steady, "reached": reached}, saving, now_ms * MS)
    cards.close()
