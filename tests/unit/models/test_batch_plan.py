"""The strategy `auto`: which sizes it takes, and that measuring pays, on any cost curve."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND
from roost_models.scaffold.batch_plan import BatchPlan
from roost_models.scaffold.queue_policy import (
    Action,
    Arrived,
    Decline,
    Evaluate,
    Finished,
    QueuePolicy,
    QueueSettings,
    Warmed,
)

LINEAR = {1: 1, 4: 4, 16: 16}
DENSE = {1: 1.0, 4: 1.5, 16: 3.0}
WORSE_PAST_4 = {1: 1.0, 4: 2.0, 16: 20.0}


def warmed(costs: Mapping[int, float], max_waiting: int = 16, strategy: str = "auto") -> QueuePolicy:
    policy = QueuePolicy(
        QueueSettings(strategy=strategy, max_waiting=max_waiting, sizes=tuple(costs))  # type: ignore[arg-type] # one of the three
    )
    policy.handle(Warmed({size: int(cost * MS) for size, cost in costs.items()}), 0)
    return policy


def with_waiting(policy: QueuePolicy, waiting: int, expires: int | None = None) -> QueuePolicy:
    policy.handle(Arrived("first"), 0)
    for number in range(waiting):
        assert policy.handle(Arrived(str(number), expires), 0) == ()
    return policy


def names(first: int, behind: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, behind))


def test_it_takes_the_size_with_which_the_waiting_are_served_soonest() -> None:
    assert with_waiting(warmed(DENSE), 7).handle(Finished(), MS) == (Evaluate(names(0, 4)),)
    assert with_waiting(warmed(DENSE), 16).handle(Finished(), MS) == (Evaluate(names(0, 16)),)
    assert with_waiting(warmed(WORSE_PAST_4), 16).handle(Finished(), MS) == (Evaluate(names(0, 4)),)
    assert with_waiting(warmed(LINEAR), 16).handle(Finished(), MS) == (Evaluate(names(0, 1)),)


def test_the_quickest_whole_is_found_even_where_the_cheapest_size_first_would_miss_it() -> None:
    plan = BatchPlan((1, 3, 4))
    plan.warm({1: 100, 3: 160, 4: 200}, 0)
    assert plan.best == 4
    assert (plan.first(6), plan.total(6)) == (3, 320)


def test_a_batch_that_would_break_a_deadline_gives_way_to_a_smaller_one() -> None:
    """16 together take 3 ms; whoever must be served within 2.5 ms is served by fours."""
    relaxed = with_waiting(warmed(DENSE), 16, expires=MS + 7 * MS)
    assert relaxed.handle(Finished(), MS) == (Evaluate(names(0, 16)),)
    hurried = with_waiting(warmed(DENSE, max_waiting=17), 4, expires=MS + int(2.5 * MS))
    for number in range(4, 16):
        hurried.handle(Arrived(str(number)), 0)
    assert hurried.handle(Finished(), MS) == (Evaluate(names(0, 4)),)


def test_whom_even_an_evaluation_of_their_own_would_serve_too_late_are_declined_before_it() -> None:
    policy = with_waiting(warmed({1: 10}), 2, expires=15 * MS)
    policy.handle(Arrived("later"), 0)
    declined, evaluated = policy.handle(Finished(), 10 * MS)
    assert declined == Decline(names(0, 2), "behind")
    assert evaluated == Evaluate(("later",))


def test_what_was_measured_in_earnest_replaces_what_warming_believed() -> None:
    policy = with_waiting(warmed({1: 1.0, 4: 1.5}, max_waiting=8), 8)
    assert policy.handle(Finished(), MS) == (Evaluate(names(0, 4)),)
    assert policy.handle(Finished(), 10 * MS) == (Evaluate(names(4, 5)),)  # 9 ms for four: it does not pay here


def test_one_slow_evaluation_among_many_does_not_change_the_choice() -> None:
    plan = BatchPlan((1, 4))
    plan.warm({1: 100, 4: 150}, 0)
    for cost in (150, 150, 150, 9_000, 150):
        plan.measured(4, cost, 0)
    assert plan.best == 4


def test_a_size_that_looked_too_dear_is_tried_again_after_a_minute() -> None:
    policy = warmed(LINEAR)
    now = 61 * SECOND
    policy.handle(Arrived("first"), now)
    for number in range(16):
        policy.handle(Arrived(str(number)), now)
    assert policy.handle(Finished(), now + MS) == (Evaluate(names(0, 16)),)
    for number in range(16):
        policy.handle(Arrived(f"again {number}"), now)
    assert len(policy.handle(Finished(), now + 17 * MS)[0].request_ids) == 4  # that one is due, too
    assert len(policy.handle(Finished(), now + 21 * MS)[0].request_ids) == 1


def test_a_size_that_does_not_work_is_never_taken() -> None:
    policy = QueuePolicy(QueueSettings(strategy="auto", max_waiting=16, sizes=(1, 4, 16)))
    policy.handle(Warmed({1: 100, 16: 200}), 0)
    assert with_waiting(policy, 15).handle(Finished(), 100) == (Evaluate(names(0, 1)),)


def test_behind_again_and_again_it_skips_to_the_newest_and_declines_the_rest() -> None:
    policy = with_waiting(warmed(LINEAR, max_waiting=16), 0)
    said: list[Action] = []
    number = now = 0
    for _ in range(8):
        for _ in range(20):
            said += policy.handle(Arrived(str(number), None), now)
            number += 1
        now += MS
        said += policy.handle(Finished(), now)
    newest = [action for action in said if isinstance(action, Evaluate) and action.request_ids == (str(number - 1),)]
    assert newest, "it never came to the newest"
    assert policy.waiting == 0
    assert policy.behind
    assert policy.handle(Finished(), now + MS) == ()
    assert not policy.behind


# -- against a simulated model ---------------------------------------------------------------------------------------


def answers_in_time(policy: QueuePolicy, cost: Mapping[int, float], arrivals: Sequence[int], patience: int) -> int:
    """How many of the requests a model of that cost answers within their deadline."""
    good = 0
    end: int | None = None
    batch: tuple[str, ...] = ()
    expires = {str(number): at + patience for number, at in enumerate(arrivals)}
    left = list(reversed(expires))
    outcomes: set[str] = set()
    while left or end is not None:
        at = expires[left[-1]] - patience if left else None
        finished = end is not None and (at is None or end <= at)
        now = end if finished and end is not None else at or 0
        if finished:
            good += sum(now <= expires[name] for name in batch)
            end = None
        actions = policy.expire(now) + policy.handle(
            Finished() if finished else Arrived(left[-1], expires[left[-1]]), now
        )
        if not finished:
            left.pop()
        for action in actions:
            assert outcomes.isdisjoint(action.request_ids)
            outcomes.update(action.request_ids)
            if isinstance(action, Evaluate):
                assert end is None
                batch, end = action.request_ids, now + int(cost[len(action.request_ids)] * MS)
    assert outcomes == set(expires)
    return good


@st.composite
def cost_curves(draw: st.DrawFn) -> dict[int, float]:
    """What 1, 4 and 16 cost in ms: each step up between nothing more and twice as much for each request."""
    factors = [draw(st.floats(0.3, 2.0)) for _ in range(2)]
    four = max(1.0, 4 * factors[0])
    return {1: 1.0, 4: four, 16: max(four, 16 * factors[0] * factors[1])}


def stream(load: float, spread: str, seed: int) -> list[int]:
    """Moments of about 150 ms of requests, so many each ms."""
    dice = random.Random(seed)
    moments, at = [], 0.0
    for _ in range(int(150 * load) + 100):
        at += dice.expovariate(load) if spread == "random" else 1 / load
        moments.append(int(at * MS))
    return moments


LOADS = {"load": st.floats(0.3, 8), "spread": st.sampled_from(["even", "random"]), "seed": st.integers(0, 1000)}
LUCK = 16
"""What still waits when the stream ends."""


@given(cost=cost_curves(), factor=st.floats(4, 40), **LOADS)
def test_on_any_cost_curve_it_answers_hardly_fewer_in_time_than_the_better_of_skip_and_batch(
    cost: dict[int, float], factor: float, load: float, spread: str, seed: int
) -> None:
    """Where deadlines leave time for four evaluations of the best size, the one that costs least for each."""
    plan = BatchPlan(tuple(cost))
    plan.warm({size: int(ms * MS) for size, ms in cost.items()}, 0)
    patience, arrivals = int(factor * cost[plan.best] * MS), stream(load, spread, seed)
    got = {
        strategy: answers_in_time(warmed(cost, 16, strategy), cost, arrivals, patience)
        for strategy in ("skip", "batch", "auto")
    }
    assert got["auto"] >= 0.9 * max(got["skip"], got["batch"]) - LUCK, got


@given(cost=cost_curves(), patience=st.floats(1.2, 60), **LOADS)
def test_however_short_the_deadlines_it_answers_hardly_fewer_in_time_than_skipping(
    cost: dict[int, float], patience: float, load: float, spread: str, seed: int
) -> None:
    arrivals = stream(load, spread, seed)
    skip, auto = (
        answers_in_time(warmed(cost, 16, strategy), cost, arrivals, int(patience * MS)) for strategy in ("skip", "auto")
    )
    assert auto >= 0.9 * skip - LUCK


@pytest.mark.parametrize("spread", ["even", "random"])
def test_where_batching_pays_it_answers_what_batching_can_and_where_not_what_skipping_can(spread: str) -> None:
    dice = random.Random(5)
    arrivals, at = [], 0.0
    for _ in range(1200):
        at += dice.expovariate(3) if spread == "random" else 1 / 3
        arrivals.append(int(at * MS))
    for cost, least in ((DENSE, 1150), (WORSE_PAST_4, 780), (LINEAR, 395)):
        assert answers_in_time(warmed(cost), cost, arrivals, 20 * MS) >= least
