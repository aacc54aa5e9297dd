"""The tables of a schedule through the server, in virtual time: what the requester reads in its result."""

import asyncio
from collections.abc import Callable

import pytest
from coop import Coop, StubModel, after, hangs, with_changes
from stories import Story, ask

from roost_broker.messages import Diagnostics, Request, Result
from roost_rendezvous import schedule as schedules


def says(label: str) -> Callable[[StubModel, Request], None]:
    def behave(model: StubModel, request: Request) -> None:
        model.score(request.request_id, label)

    return behave


def told(result: Result) -> tuple[str, str, str]:
    return result.cause, result.answer.model if result.answer is not None else "", result.cohort


def test_a_roll_out_and_its_roll_back_change_who_is_official_and_no_model(play: Callable[[Story], Coop]) -> None:
    rolled_out = with_changes(rollout={"challenger": 0.1}, ignore=[])

    async def story(coop: Coop) -> None:
        await coop.server()
        for model in ("champion", "challenger"):
            await coop.model(model, after(20))
        for schedule in (rolled_out, with_changes()):
            await coop._buses[0].publish(coop.task().schedule, coop.schedule_set(schedule), retain=True)
            for camera in ("roof", "door"):
                await ask(coop, coop.request(requester=camera))
            await asyncio.sleep(3)

    coop = play(story)
    assert sorted((result.tags["camera"], *told(result)) for [(_, result)] in coop.results().values()) == [
        ("door", "preferred", "champion", ""),
        ("door", "preferred", "champion", ""),
        ("roof", "preferred", "challenger", "challenger"),
        ("roof", "preferred", "champion", ""),
    ]


def test_the_result_of_a_lot_carries_the_chance_of_the_model_that_was_drawn(play: Callable[[Story], Coop]) -> None:
    lot = {"champion": 0.25, "fast": 0.75}

    async def story(coop: Coop) -> None:
        await coop.server(with_changes(random=lot))
        for model in lot:
            await coop.model(model, after(20))
        for _ in range(8):
            await ask(coop, coop.request())
        await asyncio.sleep(3)

    results = [result for [(_, result)] in play(story).results().values()]
    assert len(results) == 8
    assert all(told(result) == ("preferred", result.cohort, result.cohort) for result in results)
    assert all(result.propensity == lot[result.cohort] for result in results)


def test_a_quorum_answers_with_the_shares_of_its_votes(play: Callable[[Story], Coop]) -> None:
    schedule = with_changes(
        step=[{"after_ms": 0, "accept": ["jury"]}], quorum={"jury": {"members": ["a", "b", "c", "d"], "share": 0.75}}
    )

    async def story(coop: Coop) -> None:
        await coop.server(schedule)
        for model, label in (("a", "hen"), ("b", "jay"), ("c", "hen")):
            await coop.model(model, says(label))
        await coop.model("d", hangs)
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert told(result) == ("preferred", "jury", "")
    assert result.answer is not None
    assert [(output.label, output.score) for output in result.answer.outputs] == [("hen", 2 / 3), ("jay", 1 / 3)]
    assert (result.models[0].model, result.models[0].reason) == ("jury", "3 of 4: 2 hen, 1 jay")


def test_nobody_waits_for_a_model_that_is_not_asked(play: Callable[[Story], Coop]) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(with_changes(sample={"champion": 0.000001}))
        await coop.model("champion", hangs)
        await coop.model("fast", after(5))
        await ask(coop, coop.request())
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert told(result) == ("fallback", "fast", "")
    assert result.elapsed_ms == pytest.approx(5, abs=1)


@pytest.mark.parametrize("answers", [True, False])
def test_a_requests_own_schedule_stands_in_the_provenance(play: Callable[[Story], Coop], answers: bool) -> None:
    own = with_changes(step=[{"after_ms": 0, "accept": ["canary"]}], ignore=[])

    async def story(coop: Coop) -> None:
        await coop.server(qa=True)
        await coop.model("canary", after(5) if answers else hangs)
        await ask(coop, coop.request(diagnostics=Diagnostics(schedule=schedules.to_object(own))))
        await asyncio.sleep(3)

    result = play(story).only_result()
    assert result.cause == ("override" if answers else "default")
    assert result.provenance.overrides == [f"schedule {own.version}"]
