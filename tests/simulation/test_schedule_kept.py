"""Whose schedule stands on the topic after somebody published what is none, and what an operator hears."""

import asyncio
from collections.abc import Callable

import pytest
from coop import LADDER, Coop, with_changes
from stories import Story

from roost_broker.clock import MS
from roost_broker.memory import MemoryBus
from roost_broker.messages import Diagnostics, ScheduleSet, decode, encode
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.schedule_apply import Applied, apply

OTHER = with_changes(step=[{"after_ms": 0, "accept": ["fast"]}])


async def _apply(coop: Coop, schedule: Schedule) -> Applied:
    bus = MemoryBus(coop.broker, "operator-apply")
    return await apply(bus, coop.task(), schedule, author="ann", why="a test", clock=coop.clock, timeout_s=2)


async def _on_topic(coop: Coop) -> ScheduleSet:
    found: list[bytes] = []
    bus = MemoryBus(coop.broker, "late-reader")
    bus.subscribe(coop.task().schedule, lambda delivery: found.append(delivery.payload))
    await bus.start()
    await asyncio.sleep(0.1)
    await bus.stop()
    message = decode(found[-1])
    assert isinstance(message, ScheduleSet)
    return message


def test_rubbish_on_the_topic_is_replaced_by_the_schedule_in_force(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        assert (await _apply(coop, OTHER)).outcome == "applied"
        vandal = await coop.bus("vandal")
        await vandal.publish(coop.task().schedule, b"garbage", retain=True)
        await asyncio.sleep(0.5)
        kept = await _on_topic(coop)
        assert (kept.version, kept.author, kept.why) == (OTHER.version, "ann", "a test")

    play(story)


@pytest.mark.parametrize(
    ("schedule", "outcome"), [(OTHER, "applied"), (LADDER, "in-force-already")], ids=["new", "the same"]
)
def test_an_operator_hears_what_became_of_a_schedule(
    play: Callable[[Story], Coop], schedule: Schedule, outcome: str
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        began = coop.clock.monotonic_ns()
        applied = await _apply(coop, schedule)
        assert (applied.outcome, applied.version) == (outcome, schedule.version)
        assert coop.clock.monotonic_ns() - began < 1000 * MS

    play(story)


def test_an_operator_hears_it_however_many_requests_ask_for_what_they_may_not_have(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        await asyncio.sleep(1)
        flooder = await coop.bus("flooder")
        for _ in range(100):
            request = coop.request(diagnostics=Diagnostics(schedule={}))
            flooder.publish(coop.task().input, encode(request))
        await asyncio.sleep(0.1)
        assert server.counts["override-refused"] == 100
        assert (await _apply(coop, OTHER)).outcome == "applied"

    play(story)


def test_an_operator_without_a_rendezvous_is_told_that_nobody_answered(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        assert (await _apply(coop, OTHER)).outcome == "published"
        assert (await _apply(coop, OTHER)).outcome == "published"  # it stands there, and still nobody keeps to it

    play(story)
