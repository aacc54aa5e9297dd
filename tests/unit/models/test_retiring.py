"""Where a schedule has its models, and when one may be retired (L10)."""

import asyncio

import pytest

from roost_broker.clock import VirtualClock
from roost_broker.errors import PeerError
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Event, ModelState, decode, encode
from roost_broker.topics import NodeTopics
from roost_models.retiring import check_retirement, models, place, retire
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.survey import Survey, survey


def schedule(**more: object) -> Schedule:
    return schedules.parse(
        {
            "task": "nest",
            "sla_ms": 2000,
            "step": [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["jury", "fast"]}],
            "default": {"after_ms": 1900, "label": "unknown"},
            "quorum": {"jury": {"members": ["a", "b"], "need": 2}},
            "ignore": ["canary"],
            **more,
        }
    )


ROLLED = schedule(rollout={"new": 0.1}, sample={"canary": 0.01})


def found(**states: str) -> Survey:
    return Survey(models={(name, 0): model_state(name, state) for name, state in states.items()})


def model_state(name: str, state: str, replica: int = 0) -> ModelState:
    return ModelState(
        timestamp=1, message_id="1" * 32, model=name, version="1", state=state, session=1, replica=replica  # type: ignore[arg-type]  # a test says it in words
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "where"),
    [
        ("champion", "from 0 ms"),
        ("fast", "from 600 ms"),
        ("a", "quorum jury"),
        ("new", "rollout 0.1"),
        ("canary", "sample 0.01, ignored"),
        ("old", "not named"),
    ],
)
def test_each_model_has_its_place_in_a_schedule(model: str, where: str) -> None:
    assert place(ROLLED, model) == where


@pytest.mark.parametrize("model", ["champion", "fast", "a", "new", "canary"])
def test_a_model_that_the_schedule_names_anywhere_is_not_retired(model: str) -> None:
    with pytest.raises(PeerError, match="is named in the schedule in force"):
        check_retirement(found(**{model: "stopped"}), ROLLED, model)


def test_a_model_that_is_drawn_by_lot_is_not_retired() -> None:
    with pytest.raises(PeerError, match="random"):
        check_retirement(found(old="gone"), schedule(random={"champion": 0.9, "old": 0.1}), "old")


@pytest.mark.parametrize("state", ["starting", "warming", "ready"])
def test_a_model_that_runs_is_not_retired(state: str) -> None:
    with pytest.raises(PeerError, match="still running"):
        check_retirement(found(old=state), ROLLED, "old")


def test_a_model_nobody_has_heard_of_is_not_retired() -> None:
    with pytest.raises(PeerError, match="No model old"):
        check_retirement(found(), ROLLED, "old")


def test_the_list_has_what_runs_and_what_the_schedule_expects() -> None:
    listed = models(found(champion="ready", old="gone"), ROLLED)
    assert [(one.model, one.state, one.place) for one in listed[:2]] == [
        ("champion", "ready", "from 0 ms"),
        ("old", "gone", "not named"),
    ]
    assert {one.model for one in listed if one.state == "unknown"} == {"fast", "a", "b", "new", "canary"}


def test_a_model_that_is_only_sampled_is_listed_as_never_official() -> None:
    assert place(schedule(sample={"shadow": 0.01}), "shadow") == "sample 0.01, never official"
    assert place(schedule(sample={"a": 0.5}), "a") == "quorum jury, sample 0.5"  # its vote counts


def test_a_model_that_only_any_lets_in_is_shown_so() -> None:
    anybody = schedule(step=[{"after_ms": 0, "accept": ["jury", "*"]}])
    assert place(anybody, "rules") == 'not named, but "*" lets it in'
    assert models(found(rules="ready"), None)[0].place == "no schedule is known"


def test_a_retired_models_states_are_cleared_replicas_too_and_an_event_says_who_and_why() -> None:
    clock, topics = VirtualClock(), NodeTopics("coop-1").task("nest")

    async def story() -> tuple[Survey, Survey, list[Event]]:
        broker = MemoryBroker(clock=clock)
        heard: list[Event] = []
        watcher = MemoryBus(broker, "watcher")
        watcher.subscribe(topics.device.event, lambda delivery: heard.append(decode(delivery.payload)))  # type: ignore[arg-type]  # only events are on it
        await watcher.start()
        for replica in (1, 2):
            state = model_state("old", "gone", replica)
            await watcher.publish(topics.model_state("old", replica), encode(state), retain=True)
        before = await survey(MemoryBus(broker, "before"), topics, settle_s=0)
        states = check_retirement(before, ROLLED, "old")
        await retire(MemoryBus(broker, "op"), topics, states, author="ann", why="the new one is better", clock=clock)
        after = await survey(MemoryBus(broker, "after"), topics, settle_s=0)
        await asyncio.sleep(0)
        await watcher.stop()
        return before, after, heard

    before, after, (event,) = asyncio.run(story())
    assert len(before.models) == 2
    assert after.models == {}
    assert (event.kind, event.data["author"], event.data["model"]) == ("model-retired", "ann", "old")
