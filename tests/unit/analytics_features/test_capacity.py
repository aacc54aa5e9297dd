"""Capacity from rows whose load is known, because it was made."""

import random
from collections.abc import Callable

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.features.capacity import CapacitySettings, capacity
from roost_rendezvous.analytics.rows import Row, Word

MS, SECOND = 1_000_000, 1_000_000_000
DAY = 86_400 * SECOND


def rows(
    count: int,
    every_ms: float,
    took: Callable[[int], float],
    *,
    task: str = "nest",
    model: str = "champion",
    begin: int = 10**18,
    cause: str = "preferred",
) -> list[Row]:
    """Requests at even distances; `took` is the model's compute time in ms by number."""
    return [
        Row(
            request_id=f"{task}{number}",
            task=task,
            at=begin + round(number * every_ms * MS),
            words=(Word(model=model, elapsed_ms=took(number), compute_ms=took(number)),),
            cause=cause,
            elapsed_ms=took(number),
            deadline_ms=1_000,
        )
        for number in range(count)
    ]


def test_a_model_that_takes_20_ms_ten_times_a_second_has_room_for_five_times_as_much() -> None:
    report = capacity(rows(6_000, 100, lambda _: 20))
    load = report.loads[0]
    assert load.busy == pytest.approx(0.2, rel=0.01)
    assert load.head_room == pytest.approx(5, rel=0.01)
    assert load.bears == pytest.approx(50, rel=0.01)
    assert load.rate == pytest.approx(10, rel=0.01)
    assert not load.short
    assert report.cores_busy == pytest.approx(0.2, rel=0.01)


def test_a_burst_counts_and_not_the_mean() -> None:
    calm = rows(100, 10_000, lambda _: 20)
    burst = rows(2_000, 25, lambda _: 20, begin=10**18 + 500 * SECOND)
    load = capacity(calm + burst, CapacitySettings(window_s=20)).loads[0]
    assert load.busy is not None
    assert load.busy < 0.1
    assert load.busy_peak == pytest.approx(0.8, rel=0.03)
    assert load.short


def test_replicas_share_what_their_model_does() -> None:
    report = capacity(rows(1_000, 10, lambda _: 15), replicas={("nest", "champion"): 2})
    assert report.loads[0].busy == pytest.approx(0.75, rel=0.02)
    assert report.loads[0].bears == pytest.approx(2 * 1_000 / 15, rel=0.02)


def test_a_model_that_declines_because_it_is_behind_is_short_however_idle_it_looks() -> None:
    one = rows(100, 1_000, lambda _: 5)
    behind = [
        Row(
            request_id=f"b{number}",
            task="nest",
            at=10**18 + number * SECOND + 1,
            words=(Word(model="champion", outcome="declined", reason="behind"),),
        )
        for number in range(3)
    ]
    load = capacity(one + behind).loads[0]
    assert load.declined == {"behind": 3}
    assert load.short


def test_the_word_is_kept_by_those_answered_in_time_and_defaults_stand_beside() -> None:
    timely = rows(96, 1_000, lambda _: 10)
    late = rows(2, 1_000, lambda _: 1_500, begin=10**18 + 200 * SECOND)
    default = rows(2, 1_000, lambda _: 900, begin=10**18 + 300 * SECOND, cause="default")
    service = capacity(timely + late + default).services[0]
    assert (service.requests, service.in_sla, service.defaults) == (100, 0.98, 0.02)


def noisy(seed: int, ratio: float) -> list[Row]:
    """A door model that runs now and then, and a nest model that is slower by `ratio` meanwhile."""
    draw = random.Random(seed)
    door = rows(400, 1_000, lambda _: 300, task="door", model="heavy")
    busy = [(row.at, row.at + 300 * MS) for row in door]
    nest = []
    for number in range(2_000):
        at = 10**18 + number * 197 * MS
        second = (at - 10**18) // SECOND
        beside = second < len(busy) and busy[second][0] <= at and at + 10 * MS <= busy[second][1]
        took = draw.lognormvariate(0, 0.3) * 10 * (ratio if beside else 1)
        words = (Word(model="champion", elapsed_ms=took, compute_ms=took),)
        nest.append(Row(request_id=str(number), task="nest", at=at, words=words))
    return door + nest


def test_a_noisy_neighbour_is_named_with_what_it_costs() -> None:
    found = capacity(noisy(1, 1.6)).neighbours
    assert [(one.task, one.model, one.beside) for one in found] == [("nest", "champion", "door/heavy")]
    assert found[0].ratio == pytest.approx(1.6, abs=0.15)


def test_a_quiet_neighbour_is_not_blamed() -> None:
    for seed in range(20):
        assert capacity(noisy(seed, 1.0)).neighbours == ()


def test_long_computations_do_not_make_whoever_meets_them_a_neighbour() -> None:
    draw = random.Random(9)
    one = rows(1_500, 200, lambda number: 5 if number % 10 else 150)
    other = [
        Row(
            request_id=f"o{number}",
            task="door",
            at=10**18 + round(draw.random() * 300 * SECOND),
            words=(Word(model="rules", elapsed_ms=60, compute_ms=60),),
        )
        for number in range(1_500)
    ]
    assert capacity(one + other).neighbours == ()


def test_models_that_always_work_together_cannot_be_told_apart() -> None:
    both = [
        Row(
            request_id=str(number),
            task="nest",
            at=10**18 + number * SECOND,
            words=(
                Word(model="a", elapsed_ms=20, compute_ms=20),
                Word(model="b", elapsed_ms=30, compute_ms=30),
            ),
        )
        for number in range(100)
    ]
    report = capacity(both)
    assert report.neighbours == ()
    assert ("nest/b", "nest/a") in report.inseparable or ("nest/a", "nest/b") in report.inseparable


def test_traffic_that_grows_five_percent_a_day_is_said_so_within_its_error() -> None:
    draw = random.Random(2)
    table = []
    for day in range(14):
        count = round(400 * (1 + 0.05 * (day - 6.5)))
        times = sorted(draw.random() ** 2 for _ in range(count))  # mornings are busier: it must cancel
        table += [
            Row(request_id=f"{day}-{number}", task="nest", at=10**18 + day * DAY + round(time * DAY))
            for number, time in enumerate(times)
        ]
    service = capacity(table).services[0]
    assert service.trend_per_day is not None
    assert service.trend_error is not None
    assert abs(service.trend_per_day - 0.05) < 4 * service.trend_error + 0.005


def test_a_day_or_two_say_nothing_of_a_trend() -> None:
    assert capacity(rows(500, 300_000, lambda _: 5)).services[0].trend_per_day is None


def test_no_rows_and_one_row_are_no_error() -> None:
    assert capacity([]).loads == ()
    assert capacity(rows(1, 1, lambda _: 5)).loads[0].busy is None
    with pytest.raises(Misuse, match="full"):
        CapacitySettings(full=0)
