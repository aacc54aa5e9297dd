"""One step of one component that becomes slow, from traces to an alarm that names the step first (M10, H4, O1)."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from watch_messages import trace
from watch_world import BEGIN, HOUR, MINUTE, QUICK

from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.observed import Observed
from roost_rendezvous.analytics.watch.parts import Told
from roost_rendezvous.analytics.watch.watching import Watching

LEARNT = BEGIN + 96 * HOUR
STEPS = {
    "capture-nest": {"trigger": 12.0, "encode": 9.0, "store": 6.0},
    "injector-henhouse": {"inject": 1.5},
    "model champion": {"wait": 2.0, "evaluate": 40.0},
    "model canary": {"wait": 2.0, "evaluate": 15.0},
    "rendezvous-henhouse": {"wait": 0.8},
}
"""Milliseconds, in the middle."""
Slowness = Callable[[str, str, random.Random], float]


def traces(since: int, until: int, slowness: Slowness, seed: int) -> Iterator[Observed]:
    """A traced request a minute: what each component did."""
    chance = random.Random(seed)
    for at in range(since, until, MINUTE):
        for component, steps in STEPS.items():
            took = {
                step: ms * chance.lognormvariate(0, 0.15) * slowness(component, step, chance)
                for step, ms in steps.items()
            }
            one = observe(trace(component, took), "henhouse", at)
            assert one is not None
            yield one


def usual(component: str, step: str, chance: random.Random) -> float:
    return 1.0


def always(component: str, step: str, times: float) -> Slowness:
    return lambda of, part, chance: times if (of, part) == (component, step) else 1.0


def sometimes(component: str, step: str, share: float, times: float) -> Slowness:
    return lambda of, part, chance: times if (of, part) == (component, step) and chance.random() < share else 1.0


@pytest.fixture(scope="module")
def learnt() -> Any:
    """What a watch knows after four days in which every step took as long as ever.

    The budget allows six alarms a week by chance, one in five of such six hours; after this seed they have none.
    """
    watch = Watching(QUICK)
    for one in traces(BEGIN, LEARNT, usual, seed=6):
        watch.handle(one)
    return msgspec.msgpack.encode(watch.snapshot(), enc_hook=lambda value: value.tolist())


def told(learnt: Any, slowness: Slowness, hours: int = 6) -> list[Told]:
    watch = Watching(QUICK)
    watch.restore(msgspec.msgpack.decode(learnt))
    return [said for one in traces(LEARNT, LEARNT + hours * HOUR, slowness, seed=2) for said in watch.handle(one)]


@pytest.mark.parametrize(
    ("slowness", "culprit", "verdict"),
    [
        (always("model champion", "evaluate", 1.3), ("champion", "evaluate"), "model"),
        (sometimes("model champion", "wait", 0.03, 3.0), ("champion", "wait (traced)"), "model"),
        (always("capture-nest", "store", 1.5), ("capture-nest", "store"), "unknown"),
        (always("rendezvous-henhouse", "wait", 2.0), ("rendezvous-henhouse", "wait"), "unknown"),
    ],
)
def test_a_step_that_becomes_slow_is_the_culprit_of_one_alarm(
    learnt: Any, slowness: Slowness, culprit: tuple[str, str], verdict: str
) -> None:
    said = told(learnt, slowness)
    [opened] = [one for one in said if one.step == "opened"]
    first = opened.episode.culprit
    assert first is not None
    assert (first.of, first.part, first.kind) == (*culprit, "latency")
    assert " ms" in first.sentence
    assert opened.episode.verdict == verdict


def test_steps_as_they_always_were_are_no_alarm(learnt: Any) -> None:
    assert told(learnt, usual) == []
