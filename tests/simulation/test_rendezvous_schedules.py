"""The rendezvous server in virtual time: whose schedule counts, from when on, and what is no schedule."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coop import LADDER, Coop, after, with_changes
from stories import Story, ask

from roost_broker.errors import Misuse
from roost_broker.messages import DeadLetter, Diagnostics, Event, Result, RoleState, ScheduleSet, encode
from roost_rendezvous import schedule as schedules
from roost_rendezvous.server.schedule_keeper import FROM_FILE


def test_a_schedule_is_replaced_while_running_and_counts_for_the_next_request(play: Callable[[Story], Coop]) -> None:
    other = with_changes(step=[{"after_ms": 0, "accept": ["fast"]}])

    async def story(coop: Coop) -> None:
        server = await coop.server()
        await coop.model("fast", after(5))
        await ask(coop, coop.request())
        await asyncio.sleep(0.1)
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(other), retain=True)
        await ask(coop, coop.request())
        await asyncio.sleep(3)
        assert server.counts["schedule-applied"] == 1

    coop = play(story)
    first, second = sorted(coop.said(Result), key=lambda result: result.timestamp, reverse=True)
    assert (first.cause, first.schedule_version) == ("fallback", LADDER.version)
    assert (second.cause, second.schedule_version) == ("preferred", other.version)
    [event] = coop.said(Event)
    assert event.kind == "schedule-applied"
    assert (event.data["before"], event.data["version"]) == (LADDER.version, other.version)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(lambda coop: b"not even JSON", id="rubbish"),
        pytest.param(lambda coop: coop.schedule_set(with_changes(task="door")), id="another task"),
        pytest.param(
            lambda coop: encode(
                ScheduleSet(timestamp=1, message_id="a" * 32, task="nest", version="x", schedule={"task": "nest"})
            ),
            id="not a schedule",
        ),
    ],
)
def test_a_bad_schedule_never_replaces_a_good_one(
    play: Callable[[Story], Coop], payload: Callable[[Coop], bytes]
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(5))
        publisher = await coop.bus("operator")
        await publisher.publish(coop.task().schedule, payload(coop))
        await asyncio.sleep(0.1)
        await ask(coop, coop.request())
        await asyncio.sleep(1)

    coop = play(story)
    assert coop.only_result().schedule_version == LADDER.version
    assert [event.kind for event in coop.said(Event)] == ["schedule-refused"]
    assert len(coop.said(DeadLetter)) == 1


def test_the_given_schedule_is_published_where_there_is_none(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)

    [message] = play(story).said(ScheduleSet)
    assert (message.author, message.version) == (FROM_FILE, LADDER.version)
    assert schedules.parse(message.schedule) == LADDER


def test_a_persons_schedule_outlives_a_restart(play: Callable[[Story], Coop]) -> None:
    other = with_changes(sla_ms=2500)

    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(other), retain=True)
        await asyncio.sleep(1)
        await coop.stop_server()
        await coop.server(session=2)
        await asyncio.sleep(1)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    assert play(story).only_result().schedule_version == other.version


def test_an_edited_file_replaces_what_an_earlier_start_published(play: Callable[[Story], Coop]) -> None:
    edited = with_changes(sla_ms=2500)

    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await coop.stop_server()
        await coop.server(edited, session=2)
        await asyncio.sleep(1)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    coop = play(story)
    assert coop.only_result().schedule_version == edited.version
    assert [message.version for message in coop.said(ScheduleSet)] == [LADDER.version, edited.version]


def test_without_a_file_the_retained_schedule_is_waited_for_and_nothing_is_lost(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(None)
        await coop.model("champion", after(5))
        await ask(coop, coop.request())
        await asyncio.sleep(0.2)
        assert not coop.results()
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(LADDER), retain=True)
        await asyncio.sleep(1)

    assert play(story).only_result().cause == "preferred"


def test_without_any_schedule_the_server_ends_loudly(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(None, schedule_wait_ms=5000)
        running, _ = coop._tasks.pop("rendezvous-nest")
        with pytest.raises(Misuse, match="no schedule for nest"):
            await running

    coop = play(story)
    assert [state.state for state in coop.said(RoleState)][-1] == "failed"


def test_a_schedule_for_another_task_is_refused_at_once(tmp_path: Path, play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        with pytest.raises(Misuse, match="door"):
            await coop.server(with_changes(task="door"))

    play(story)


OVERRIDE = schedules.to_object(with_changes(step=[{"after_ms": 0, "accept": ["canary"]}], ignore=[]))


@pytest.mark.parametrize(
    ("qa", "asked", "cause", "label", "count"),
    [
        (True, OVERRIDE, "override", "by-canary", ""),
        (False, OVERRIDE, "preferred", "by-champion", "override-refused"),
        (True, {"task": "nest"}, "preferred", "by-champion", "override-unusable"),
    ],
    ids=["honoured in QA", "refused elsewhere", "unusable"],
)
def test_a_requests_own_schedule(
    play: Callable[[Story], Coop], qa: bool, asked: dict[str, Any], cause: str, label: str, count: str
) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server(qa=qa)
        await coop.model("champion", after(20))
        await coop.model("canary", after(5))
        await ask(coop, coop.request(diagnostics=Diagnostics(schedule=asked)))
        await asyncio.sleep(3)
        assert not count or server.counts[count] == 1

    coop = play(story)
    result = coop.only_result()
    assert result.answer is not None
    assert (result.cause, result.answer.label) == (cause, label)
    assert [event.kind for event in coop.said(Event)] == ([count] if count else [])


def test_a_persons_schedule_outlives_a_start_before_the_broker(play: Callable[[Story], Coop]) -> None:
    other = with_changes(sla_ms=2500)

    async def story(coop: Coop) -> None:
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(other), retain=True)
        coop.broker.stop()
        asyncio.get_running_loop().call_later(5, coop.broker.start)
        await coop.server()
        await asyncio.sleep(2)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    coop = play(story)
    assert coop.only_result().schedule_version == other.version
    assert {message.author for message in coop.said(ScheduleSet)} == {"somebody"}


def test_a_broker_that_comes_late_is_not_a_missing_schedule(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(LADDER), retain=True)
        coop.broker.stop()
        asyncio.get_running_loop().call_later(10, coop.broker.start)
        await coop.server(None, schedule_wait_ms=3000)
        await asyncio.sleep(1)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    assert play(story).only_result().schedule_version == LADDER.version


def test_a_flood_before_there_is_a_schedule_is_bounded(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server(None)
        payload = encode(coop.request())
        for _ in range(3000):  # QoS 0 knows no receive maximum
            await coop._buses[0].publish(coop.task().input, payload, qos=0)
        await asyncio.sleep(1)
        assert server.counts["dropped-before-schedule"] == 2000
        await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(LADDER), retain=True)
        await asyncio.sleep(3)

    assert play(story).only_result().cause == "default"
