"""The rendezvous server with everybody around it, in virtual time: SLA, restarts, schedules, addresses, tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from coop import (
    BOOT,
    LADDER,
    Coop,
    StubModel,
    after,
    declines,
    floods,
    hangs,
    impersonates,
    talks_rubbish,
    with_changes,
)
from virtual_loop import simulate

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.errors import Misuse
from roost_broker.messages import DeadLetter, Diagnostics, Event, Request, Result, RoleState, ScheduleSet, encode
from roost_rendezvous import schedule as schedules
from roost_rendezvous.server.schedule_keeper import FROM_FILE

Story = Callable[[Coop], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], Coop]:
    """Run a story on a fresh device, in virtual time."""

    def run(story: Story) -> Coop:
        clock = VirtualClock(monotonic_ns=5000 * SECOND)
        coop = Coop(tmp_path, clock)

        async def whole() -> None:
            await coop.watch("roost/#")
            try:
                await story(coop)
            finally:
                await coop.close()

        simulate(whole(), clock)
        return coop

    return run


async def ask(coop: Coop, request: Request) -> None:
    bus = coop._buses[0]
    await bus.publish(f"roost/coop-1/{request.return_address.split('/')[2]}/input", encode(request))


@pytest.mark.parametrize(
    ("champion", "causes"),
    [
        (after(50), {"preferred"}),
        (after(5000), {"fallback"}),
        (hangs, {"fallback"}),
        (talks_rubbish, {"fallback"}),
        (impersonates, {"fallback"}),
        (floods, {"fallback"}),
        (declines, {"fallback"}),
        (None, {"fallback"}),
    ],
    ids=["well", "slow", "hung", "wrong", "impersonating", "flooding", "declining", "absent"],
)
def test_every_request_is_answered_within_the_sla_whatever_the_champion_does(
    play: Callable[[Story], Coop], champion: Callable[[StubModel, Request], None] | None, causes: set[str]
) -> None:
    sent: dict[str, int] = {}

    async def story(coop: Coop) -> None:
        await coop.server()
        if champion is not None:
            await coop.model("champion", champion)
        await coop.model("fast", after(5))
        await coop.model("canary", after(1))
        for _ in range(150):
            request = coop.request()
            sent[request.request_id] = coop.clock.monotonic_ns()
            await ask(coop, request)
            await asyncio.sleep(0.02)
        await asyncio.sleep(3)

    coop = play(story)
    results = coop.results()
    assert set(results) == set(sent)
    assert all(len(given) == 1 for given in results.values())
    for request_id, [(at, result)] in results.items():
        assert at - sent[request_id] <= result.sla_ms * MS
        assert result.cause in causes
        assert result.answer is not None
        assert result.answer.label in ("by-champion", "by-fast")
        assert {o.model for o in result.models if o.ignored} == {"canary"}


def test_without_any_model_the_default_is_loud_and_in_time(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert (result.cause, result.answer) == ("default", None)
    assert result.default is not None
    assert result.default.label == "unknown"
    assert 1900 <= result.elapsed_ms <= 1901


def test_a_dead_champion_is_not_waited_for(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        champion = await coop.model("champion", hangs)
        await coop.model("fast", after(5))
        champion.say("gone")
        await asyncio.sleep(0.1)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert result.cause == "fallback"
    assert result.elapsed_ms < 50
    assert [(o.model, o.status) for o in result.models] == [("champion", "gone"), ("fast", "answered")]


def test_a_result_says_why_and_repeats_the_question(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        await ask(coop, coop.request(requester="nest-cam"))
        await asyncio.sleep(1)

    coop = play(story)
    result = coop.only_result()
    assert result.answer is not None
    assert (result.answer.model, result.answer.label, len(result.answer.outputs)) == ("champion", "by-champion", 2)
    assert result.schedule_version == LADDER.version
    assert result.tags == {"camera": "nest-cam"}
    assert result.input is not None
    assert result.input.values == {"number": 1}
    assert [hop.component for hop in result.provenance.path] == ["rendezvous"]
    assert [topic for _, topic, message in coop.seen if message is result] == ["roost/coop-1/nest/results/nest-cam"]


def test_overlapping_requests_of_one_requester_get_each_its_own_result(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        delays = iter([300, 10, 200])
        await coop.model("champion", lambda model, request: after(next(delays))(model, request))
        for _ in range(3):
            await ask(coop, coop.request())
        await asyncio.sleep(3)

    coop = play(story)
    assert [len(given) for given in coop.results().values()] == [1, 1, 1]
    order = [result.input.values["number"] for result in coop.said(Result) if result.input and result.input.values]
    assert order == [2, 3, 1]


def test_two_tasks_run_side_by_side_with_their_own_models_and_schedules(play: Callable[[Story], Coop]) -> None:
    door = schedules.parse(
        {
            "task": "door",
            "sla_ms": 500,
            "step": [{"after_ms": 0, "accept": ["latch"]}],
            "default": {"after_ms": 400, "label": "shut"},
        }
    )

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.server(door, task="door")
        await coop.model("champion", after(30))
        await coop.model("latch", hangs, task="door")
        await ask(coop, coop.request())
        await ask(coop, coop.request(task="door"))
        await asyncio.sleep(3)

    coop = play(story)
    by_task = {topic.split("/")[2]: message for _, topic, message in coop.seen if isinstance(message, Result)}
    assert {task: (r.cause, r.sla_ms) for task, r in by_task.items()} == {
        "nest": ("preferred", 2000),
        "door": ("default", 500),
    }


def test_a_killed_server_returns_and_no_request_is_lost_or_answered_with_two_tongues(
    play: Callable[[Story], Coop],
) -> None:
    sent: list[str] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(120))
        await coop.model("fast", after(5))
        for number in range(60):
            request = coop.request()
            sent.append(request.request_id)
            await ask(coop, request)
            await asyncio.sleep(0.03)
            if number in (20, 40):
                await coop.kill_server()
                await asyncio.sleep(0.2)
                await coop.server(session=number)
        await asyncio.sleep(3)

    coop = play(story)
    results = coop.results()
    assert set(results) == set(sent)
    for given in results.values():
        assert len({result.message_id for _, result in given}) == 1
        assert given[0][1].cause in ("preferred", "fallback"), "scores held with the broker came again"


def test_a_request_repeated_after_a_restart_gets_the_same_bytes(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        request = coop.request()
        await ask(coop, request)
        await asyncio.sleep(1)
        await ask(coop, request)
        await asyncio.sleep(1)
        await coop.stop_server()
        await coop.server(session=2)
        await ask(coop, request)
        await asyncio.sleep(1)

    coop = play(story)
    payloads = [payload for topic, payload in coop.bytes_seen if topic.endswith("/results/door")]
    assert len(payloads) == 3
    assert len(set(payloads)) == 1


def test_a_request_from_before_an_outage_is_answered_and_says_late(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        await ask(coop, coop.request(issued_ns=coop.clock.monotonic_ns() - 60 * SECOND))
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert (result.late, result.cause) == (True, "preferred")
    assert result.elapsed_ms > 60_000


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


@pytest.mark.parametrize(
    "address",
    [
        "roost/coop-1/nest/input",
        "roost/coop-1/nest/schedule",
        "roost/coop-1/nest/results/#",
        "roost/coop-1/nest/results/+",
        "elsewhere/coop-1/nest/results/door",
        "roost/../nest/results/door",
        "$SYS/coop-1/nest/results/door",
        "roost/results/door",
    ],
)
def test_a_return_address_outside_the_results_is_refused_and_dead_lettered(
    play: Callable[[Story], Coop], address: str
) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        request = coop.request(return_address=address)
        await coop._buses[0].publish(coop.task().input, encode(request))
        await asyncio.sleep(3)
        assert server.counts["dead-letters"] == 1
        assert coop.broker.waiting("rendezvous-nest") == 0

    coop = play(story)
    assert not coop.results()
    [letter] = coop.said(DeadLetter)
    assert "return address" in letter.reason


def test_a_requester_from_outside_gets_its_correlation_data_back(play: Callable[[Story], Coop]) -> None:
    got: list[tuple[str, bytes | None]] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))

        def keep(delivery: Any) -> None:
            got.append((delivery.topic, delivery.correlation_data))
            delivery.ack()

        await coop.bus("outsider", {"roost/coop-1/nest/response/+": keep})
        request = coop.request()
        await coop._buses[0].publish(
            coop.task().input,
            encode(request),
            response_topic="roost/coop-1/nest/response/outsider",
            correlation_data=b"\x00 mine",
        )
        await asyncio.sleep(1)
        await coop._buses[0].publish(coop.task().input, encode(request))
        await asyncio.sleep(1)

    coop = play(story)
    assert got == [("roost/coop-1/nest/response/outsider", b"\x00 mine")] * 2, "the repeated one from the journal"
    assert [topic for topic, _ in coop.bytes_seen if topic.endswith("/results/door")]


def test_what_cannot_be_read_goes_to_the_dead_letters_and_disturbs_nobody(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        await coop.model("champion", after(20))
        bus = coop._buses[0]
        for topic in (coop.task().input, coop.task().scores("x"), coop.task().model_state("x")):
            for payload in (b"rubbish", b"[" * 50_000, encode(Event(timestamp=1, message_id="a" * 32, kind="odd"))):
                bus.publish(topic, payload)
        await ask(coop, coop.request())
        await asyncio.sleep(1)
        assert server.counts["dead-letters"] == 9
        assert coop.broker.waiting("rendezvous-nest") == 0

    coop = play(story)
    assert coop.only_result().cause == "preferred"
    assert len(coop.said(DeadLetter)) == 9


def test_a_long_outage_of_the_broker_loses_no_answer(play: Callable[[Story], Coop]) -> None:
    sent: list[str] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(50))
        for _ in range(5):
            request = coop.request()
            sent.append(request.request_id)
            await ask(coop, request)
        await asyncio.sleep(0.02)
        coop.broker.stop()
        await asyncio.sleep(10)
        coop.broker.start()
        await asyncio.sleep(3)

    coop = play(story)
    results = coop.results()
    assert set(results) == set(sent)
    assert all(len({result.message_id for _, result in given}) == 1 for given in results.values())


def test_more_open_requests_than_may_be_held_do_not_shut_the_scores_out(play: Callable[[Story], Coop]) -> None:
    sent: list[str] = []

    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(400))
        for _ in range(500):
            request = coop.request()
            sent.append(request.request_id)
            await ask(coop, request)
        await asyncio.sleep(3)

    coop = play(story)
    assert [given[0][1].cause for given in coop.results().values()] == ["preferred"] * 500


def test_all_is_acknowledged_in_the_end_and_the_state_tells_the_counts(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(state_every_ms=1000)
        await coop.model("champion", after(20))
        await coop.model("fast", after(700))
        for _ in range(20):
            await ask(coop, coop.request())
        await asyncio.sleep(30)
        assert coop.broker.waiting("rendezvous-nest") == 0
        await coop.stop_server()

    coop = play(story)
    states = [state for state in coop.said(RoleState) if state.role == "rendezvous-nest"]
    assert list(dict.fromkeys(state.state for state in states)) == ["starting", "ready", "stopped"]
    counts = states[-1].counts
    assert (counts["requests"], counts["preferred"], counts["published"], counts["open"]) == (20, 20, 20, 0)
    assert (counts["late-score"], counts["late-after-preferred"]) == (20, 20)


def test_a_defect_ends_the_role_loudly(play: Callable[[Story], Coop], tmp_path: Path) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server()
        running, _ = coop._tasks.pop("rendezvous-nest")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a defect")

        assert server._core is not None
        server._core.handle = broken  # type: ignore[method-assign,assignment]  # the defect
        await ask(coop, coop.request())
        with pytest.raises(ZeroDivisionError):
            await running

    play(story)


def test_the_boot_of_another_machine_is_not_compared(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server()
        await coop.model("champion", after(20))
        request = coop.request(issued_ns=1)
        assert request.issued is not None
        foreign = msgspec.structs.replace(request.issued, boot="f" * 32)
        await ask(coop, msgspec.structs.replace(request, issued=foreign))
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert (result.late, result.cause) == (False, "preferred")
    assert result.elapsed_ms < 100
    assert BOOT != "f" * 32
