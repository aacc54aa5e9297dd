"""The schedule's topic as the agent keeps it: what follows from the operator's stands there, nothing else."""

import asyncio
from pathlib import Path

from ota_device import content

from roost_broker.bus import Delivery
from roost_broker.cancellation import within
from roost_broker.clock import SystemClock
from roost_broker.headers import new_header
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Event, ScheduleSet, decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.ota.lines import Line
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.schedule_book import AUTHOR
from roost_edge.ota.standing import Standing, first
from roost_edge.ota.task_schedules import TaskSchedules
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule

LINE = Line("t", "champion", "hen")
FIRST = first(content("a"))
PROMOTED = FIRST.with_other(content("b"), "shadow").swapped("fallback")
BASE = schedules.parse(
    {
        "task": "t",
        "sla_ms": 2000,
        "step": [{"after_ms": 0, "accept": ["champion"]}],
        "default": {"after_ms": 1900, "label": "unknown"},
    }
)
DEVICE = NodeTopics("coop-1")
TOPICS = DEVICE.task("t")


class Topic:
    """The broker, a rendezvous that applies whatever comes, and the agent's ear; `seen` is each author and version."""

    def __init__(self, folder: Path) -> None:
        self.broker = MemoryBroker()
        self.clock = SystemClock()
        self.bus = MemoryBus(self.broker, "rendezvous")
        self.bus.subscribe(TOPICS.schedule, self._applied)
        self.ear = MemoryBus(self.broker, "agent")
        self.seen: list[tuple[str, str]] = []
        self._news = asyncio.Event()
        self.number = 0
        self.schedules = TaskSchedules(TOPICS, (LINE,), BASE, OtaFolder(folder), self._new_bus, self.clock)
        self.ear.subscribe(TOPICS.schedule, self.schedules.arrived)

    def _new_bus(self) -> MemoryBus:
        self.number += 1
        return MemoryBus(self.broker, f"agent-{self.number}")

    def _applied(self, delivery: Delivery) -> None:
        message = decode(delivery.payload)
        assert isinstance(message, ScheduleSet)
        head = new_header(self.clock, "coop-1", "rendezvous")
        data = {"task": "t", "messageId": message.message_id}
        said = Event(timestamp=head.timestamp, message_id=head.message_id, kind="schedule-applied", data=data)
        self.bus.publish(DEVICE.event, encode(said))
        self.seen.append((message.author, message.version))
        self._news.set()
        delivery.ack()

    async def publish(self, schedule: Schedule, author: str) -> None:
        head = new_header(self.clock, "coop-1", "operator")
        message = ScheduleSet(
            timestamp=head.timestamp,
            message_id=head.message_id,
            task="t",
            version=schedule.version,
            schedule=schedules.to_object(schedule),
            author=author,
        )
        await self.bus.publish(TOPICS.schedule, encode(message), retain=True)

    async def until(self, count: int) -> None:
        while len(self.seen) < count:
            self._news.clear()
            await within(self._news.wait(), 10)

    async def __aenter__(self) -> "Topic":
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.schedules.close()
        await self.ear.stop()
        await self.bus.stop()


def ours(standing: Standing) -> Schedule:
    from roost_edge.ota.effective import effective

    return effective(BASE, {LINE: standing})


def test_one_of_ours_that_a_cut_left_on_the_topic_is_replaced_by_what_stands_now(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic(tmp_path) as topic:
            hidden = ours(FIRST.with_other(content("b"), "shadow"))
            assert hidden.ignore == ("champion-b",)
            await topic.publish(hidden, AUTHOR)
            await topic.until(1)
            topic.schedules.stands(LINE, FIRST)
            await topic.ear.start()
            await topic.until(2)
            assert topic.seen == [(AUTHOR, hidden.version), (AUTHOR, BASE.version)]

    asyncio.run(main())


def test_an_operators_schedule_is_followed_by_ours_once_and_left_alone_where_no_slot_was_ever_filled(
    tmp_path: Path,
) -> None:
    async def main(standing: Standing, folder: Path) -> list[tuple[str, str]]:
        async with Topic(folder) as topic:
            topic.schedules.stands(LINE, standing)
            await topic.ear.start()
            await topic.publish(BASE, "ada")
            await topic.until(1 if standing == FIRST else 2)
            await topic.schedules.publish(LINE, standing, "again")  # in force already: nothing is published
            return topic.seen

    assert asyncio.run(main(FIRST, tmp_path / "unused")) == [("ada", BASE.version)]
    promoted = asyncio.run(main(PROMOTED, tmp_path / "used"))
    assert promoted == [("ada", BASE.version), (AUTHOR, ours(PROMOTED).version)]


def test_where_nobody_has_published_a_schedule_the_agent_does_not_either_until_it_needs_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic(tmp_path) as topic:
            await topic.ear.start()
            await topic.schedules.publish(LINE, FIRST, "restarted")
            assert topic.broker.retained(TOPICS.schedule) is None
            await topic.schedules.publish(LINE, PROMOTED, "promoted")
            assert topic.seen == [(AUTHOR, ours(PROMOTED).version)]

    asyncio.run(main())
