"""The rendezvous server with everybody around it, in virtual time: every request is answered, and within the SLA."""

import asyncio
from collections.abc import Callable

import pytest
from coop import LADDER, Coop, StubModel, after, declines, floods, hangs, impersonates, talks_rubbish
from stories import Story, ask

from roost_broker.clock import MS
from roost_broker.messages import Request, Result, RoleState
from roost_rendezvous import schedule as schedules


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
