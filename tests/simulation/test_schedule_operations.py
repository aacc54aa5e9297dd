"""Schedules changed while everything runs: nothing is lost, each change leaves a marker, none is undone unasked."""

import asyncio
from collections.abc import Callable

from coop import LADDER, Coop, after, with_changes
from stories import Story, ask

from roost_broker.clock import MS
from roost_broker.memory import MemoryBus
from roost_broker.messages import Event, Request, ScheduleSet, decode, encode
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.schedule_apply import Applied, apply
from roost_rendezvous.schedule_report import Knowledge, reigns, show
from roost_rendezvous.server.attainment import ENOUGH
from roost_rendezvous.server.schedule_history import read, to_go_back_to
from roost_rendezvous.survey import survey

FAST_FIRST = with_changes(step=[{"after_ms": 0, "accept": ["fast"]}, {"after_ms": 600, "accept": ["fast", "champion"]}])
JOURNAL = "journal/nest"


async def change(coop: Coop, schedule: Schedule, why: str = "a test") -> Applied:
    bus = MemoryBus(coop.broker, "operator")
    return await apply(bus, coop.task(), schedule, author="ann", why=why, clock=coop.clock, timeout_s=2)


async def on_topic(coop: Coop) -> ScheduleSet:
    found = (await survey(MemoryBus(coop.broker, "late-reader"), coop.task())).schedule
    assert found is not None
    return found


def events(coop: Coop, kind: str) -> list[Event]:
    return [event for event in coop.said(Event) if event.kind == kind]


async def requests(coop: Coop, asked: list[Request], count: int, every_ms: int = 5) -> None:
    for _ in range(count):
        asked.append(coop.request())
        await ask(coop, asked[-1])
        await asyncio.sleep(every_ms / 1000)


def test_schedules_change_to_and_fro_under_load_and_every_request_is_answered_once_by_the_one_it_came_under(
    play: Callable[[Story], Coop],
) -> None:
    """L6, L8, L9: promoted, withdrawn, promoted again; models see and say the same as ever."""
    asked: list[Request] = []
    changed: list[tuple[int, str]] = []

    async def story(coop: Coop) -> None:
        champion = await coop.model("champion", after(50))
        fast = await coop.model("fast", after(20))
        await coop.server()
        await asyncio.sleep(1)
        load = asyncio.ensure_future(requests(coop, asked, 400))
        for turn in range(4):
            await asyncio.sleep(0.4)
            wanted = (FAST_FIRST, LADDER)[turn % 2]
            began = coop.clock.monotonic_ns()
            assert (await change(coop, wanted)).outcome == "applied"
            assert coop.clock.monotonic_ns() - began < 1000 * MS  # also a roll-back: every second one is
            changed.append((coop.clock.monotonic_ns(), wanted.version))
        await load
        await asyncio.sleep(3)
        assert champion.bus.connected
        assert fast.bus.connected

    coop = play(story)
    results = coop.results()
    assert set(results) == {request.request_id for request in asked}
    assert all(len(found) == 1 for found in results.values())
    preferred = {LADDER.version: "champion", FAST_FIRST.version: "fast"}
    official = [(result.schedule_version, result.answer.model) for [(_, result)] in results.values() if result.answer]
    assert len(official) == len(asked)
    assert all(preferred[version] == model for version, model in official)
    assert len({version for version, _ in official}) == 2
    for at, version in changed:  # each change counts for the next request
        later = [r for r in asked if r.issued is not None and r.issued.monotonic_ns >= at]
        assert results[later[0].request_id][0][1].schedule_version == version
    inputs = [payload for topic, payload in coop.bytes_seen if topic.endswith("/input")]
    assert inputs == [encode(request) for request in asked]


def test_each_change_leaves_a_marker_with_who_why_and_how_much_was_answered_by_then(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.model("champion", after(10))
        await coop.server()
        await asyncio.sleep(1)
        await requests(coop, [], 30, 20)
        await change(coop, FAST_FIRST, "it is quicker")
        await requests(coop, [], 12, 20)
        await asyncio.sleep(3)
        await coop.stop_server()

    coop = play(story)
    known = Knowledge.read(coop.folder / JOURNAL)
    first, second = reigns(known)
    assert (first.entry.author, first.entry.version) == ("settings file", LADDER.version)
    assert (second.entry.author, second.entry.why, second.entry.before) == ("ann", "it is quicker", LADDER.version)
    assert first.counts == {"requests": 30, "preferred": 30}
    assert second.counts == {"requests": 12, "fallback": 12}
    (marker,) = events(coop, "schedule-applied")
    assert marker.data["totals"]["requests"] == 30


def test_a_roll_back_puts_the_one_before_in_force_within_a_second_and_leaves_its_own_marker(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await change(coop, FAST_FIRST)
        entry = to_go_back_to(read(coop.folder / JOURNAL))
        began = coop.clock.monotonic_ns()
        assert (await change(coop, LADDER, f"roll-back from {FAST_FIRST.version}")).outcome == "applied"
        assert coop.clock.monotonic_ns() - began <= 1000 * MS
        assert entry.version == LADDER.version
        assert [one.version for one in read(coop.folder / JOURNAL)] == [
            LADDER.version,
            FAST_FIRST.version,
            LADDER.version,
        ]
        shown = show(
            "nest", await survey(MemoryBus(coop.broker, "shower"), coop.task()), Knowledge.read(coop.folder / JOURNAL)
        )
        assert (shown.version, shown.author) == (LADDER.version, "ann")
        assert shown.standing.endswith("is in force.")

    play(story)


async def _broker_dies_and_returns_with(coop: Coop, old: ScheduleSet) -> None:
    """Killed, the broker finds again what it saved last: a schedule from before the last change."""
    coop.broker.cut("rendezvous-nest", hold=True)
    coop.broker.restart(forget=True)
    await (await coop.bus("saved")).publish(coop.task().schedule, encode(old), retain=True)
    coop.broker.restore("rendezvous-nest")
    await asyncio.sleep(1)


def test_a_replaced_schedule_that_a_broker_brings_back_does_not_count_and_the_newer_one_is_put_back(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.model("champion", after(10))
        await coop.model("fast", after(10))
        await coop.server()
        await asyncio.sleep(1)
        old = await on_topic(coop)
        await change(coop, FAST_FIRST)
        await _broker_dies_and_returns_with(coop, old)
        assert (await on_topic(coop)).version == FAST_FIRST.version != old.version
        await requests(coop, [], 1)
        await asyncio.sleep(3)

    coop = play(story)
    assert coop.only_result().schedule_version == FAST_FIRST.version
    (told,) = events(coop, "schedule-put-back")
    assert told.data["returned"] == LADDER.version
    assert [one.version for one in read(coop.folder / JOURNAL)] == [LADDER.version, FAST_FIRST.version]


def test_a_server_that_starts_beside_such_a_broker_keeps_to_its_history(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.model("fast", after(10))
        await coop.server()
        await asyncio.sleep(1)
        await change(coop, with_changes(sla_ms=3000))
        old = await on_topic(coop)
        await change(coop, FAST_FIRST)
        await coop.stop_server()
        await _broker_dies_and_returns_with(coop, old)
        await coop.server(session=2)
        await asyncio.sleep(1)
        assert (await on_topic(coop)).version == FAST_FIRST.version
        await requests(coop, [], 1)
        await asyncio.sleep(3)

    assert play(story).only_result().schedule_version == FAST_FIRST.version


def test_a_broker_that_forgot_everything_gets_the_schedule_in_force_again(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await change(coop, FAST_FIRST)
        coop.broker.restart(forget=True)
        await asyncio.sleep(2)
        kept = await on_topic(coop)
        assert (kept.version, kept.author) == (FAST_FIRST.version, "ann")

    coop = play(story)
    assert len(read(coop.folder / JOURNAL)) == 2


def test_a_persons_schedule_outlives_a_power_cut_that_takes_the_server_and_what_the_broker_knew(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await change(coop, FAST_FIRST)
        await coop.kill_server()
        coop.broker.restart(forget=True)
        await coop.server(session=2)
        await asyncio.sleep(1)
        await requests(coop, [], 1)
        await asyncio.sleep(3)
        assert (await on_topic(coop)).version == FAST_FIRST.version

    coop = play(story)
    assert {result.schedule_version for [(_, result), *_] in coop.results().values()} == {FAST_FIRST.version}
    assert [one.version for one in read(coop.folder / JOURNAL)] == [LADDER.version, FAST_FIRST.version]


def test_what_a_person_publishes_now_counts_however_old_it_is(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        old = await on_topic(coop)
        await change(coop, FAST_FIRST)
        person = await coop.bus("person")
        await person.publish(coop.task().schedule, encode(old), retain=True)
        await asyncio.sleep(1)
        await requests(coop, [], 1)
        await asyncio.sleep(3)

    coop = play(story)
    assert coop.only_result().schedule_version == LADDER.version
    assert events(coop, "schedule-put-back") == []


def test_a_restart_under_the_same_schedule_leaves_no_marker(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(1)
        await change(coop, FAST_FIRST)
        for session in (2, 3):
            await coop.stop_server()
            await coop.server(session=session)
            await asyncio.sleep(1)

    coop = play(story)
    assert len(events(coop, "schedule-applied")) == 1
    assert len(read(coop.folder / JOURNAL)) == 2


def test_a_schedule_that_its_models_never_kept_is_warned_of_when_it_is_loaded_and_at_the_next_start(
    play: Callable[[Story], Coop],
) -> None:
    hasty = with_changes(
        sla_ms=100, step=[{"after_ms": 0, "accept": ["champion"]}], default={"after_ms": 90, "label": "unknown"}
    )

    async def story(coop: Coop) -> None:
        await coop.model("champion", after(120))
        await coop.server()
        await asyncio.sleep(1)
        await requests(coop, [], ENOUGH - 1)
        await asyncio.sleep(1)
        assert (await change(coop, hasty)).warnings == ()  # too little is known
        assert (await change(coop, LADDER)).outcome == "applied"
        await requests(coop, [], 1)
        await asyncio.sleep(1)
        (warning,) = (await change(coop, hasty)).warnings
        assert "champion's, after 120 ms" in warning
        await coop.stop_server()
        await coop.server(session=2)
        await asyncio.sleep(1)

    coop = play(story)
    assert [event.data["version"] for event in events(coop, "schedule-warning")] == [hasty.version] * 2
    assert all(isinstance(decode(encode(event)), Event) for event in events(coop, "schedule-warning"))


def test_a_broker_that_dies_in_the_first_moments_does_not_bring_the_file_back_over_a_persons_schedule(
    play: Callable[[Story], Coop],
) -> None:
    """1. The server connects. 2. A person changes the schedule. 3. The broker forgets it. 4. The server settles."""

    async def story(coop: Coop) -> None:
        await coop.server()
        await asyncio.sleep(0.1)
        person = await coop.bus("person")
        await person.publish(coop.task().schedule, coop.schedule_set(FAST_FIRST, author="ann"), retain=True)
        await asyncio.sleep(0.1)
        coop.broker.restart(forget=True)
        await asyncio.sleep(2)
        assert (await on_topic(coop)).version == FAST_FIRST.version

    assert [one.version for one in read(play(story).folder / JOURNAL)] == [FAST_FIRST.version]
