"""Messages of one request, put on one time axis."""

import random

import pytest
from traced_request import (
    BOOT,
    OTHER_BOOT,
    REQUEST,
    WALL_MS,
    message_id,
    outcome,
    result,
    score,
    trace,
    whole_story,
)

from roost_broker.clock import MS
from roost_broker.messages import Span, Trace
from roost_rendezvous.traces.knit import knit, ran_on


def test_processes_of_one_boot_lie_side_by_side_from_the_first_step_on() -> None:
    whole = knit(REQUEST, whole_story())
    bars = {(bar.component, bar.name): (bar.start_ns // MS, bar.end_ns // MS) for bar in whole.bars}
    assert bars["capture-nest", "trigger"] == (0, 2)
    assert bars["model champion", "evaluate"] == (40, 140)
    assert bars["decoy", "archive"] == (18, 60)
    assert whole.began_wall_ns == WALL_MS * MS
    assert whole.answered_ns == 143 * MS
    assert whole.length_ns == 401 * MS


def test_components_come_in_the_order_of_the_flow_and_quick_models_before_slow_ones() -> None:
    whole = knit(REQUEST, whole_story())
    components = list(dict.fromkeys(bar.component for bar in whole.bars))
    assert components == ["capture-nest", "injector", "rendezvous", "model champion", "model slow", "decoy"]


def test_messages_in_any_order_give_the_same_picture() -> None:
    story = whole_story()
    expected = knit(REQUEST, story)
    for seed in range(20):
        shuffled = random.Random(seed).sample(story, len(story))
        assert knit(REQUEST, shuffled) == expected


def test_what_is_about_another_request_is_left_out() -> None:
    stranger = trace("model stranger", ("evaluate", 0, 900), request_id="f" * 32)
    story = whole_story()
    assert knit(REQUEST, [*story, stranger]) == knit(REQUEST, story)


def test_a_model_that_goes_on_after_the_answer_is_told_with_how_long() -> None:
    whole = knit(REQUEST, whole_story())
    parts = {part.model: part for part in whole.parts}
    assert parts["champion"].official
    assert parts["champion"].ran_on_ns == 0
    assert parts["slow"].ran_on_ns == 257 * MS
    assert not parts["slow"].estimated
    assert ran_on(whole) == {"slow": 257 * MS}


def test_of_a_batch_that_ran_on_only_this_requests_share_is_counted() -> None:
    late = trace("model slow", ("evaluate", 30, 543), attributes={"batch": "4"})
    whole = knit(REQUEST, [trace("rendezvous", ("wait", 0, 143)), late, result(outcome("slow", "pending"))])
    assert whole.parts[0].ran_on_ns == 400 * MS
    assert ran_on(whole) == {"slow": 100 * MS}


@pytest.mark.parametrize("batch", ["", "many", "-1", "²", "99999999999999"])
def test_a_batch_size_that_is_no_number_counts_as_one(batch: str) -> None:
    late = trace("model slow", ("evaluate", 30, 543), attributes={"batch": batch} if batch else None)
    assert ran_on(knit(REQUEST, [trace("rendezvous", ("wait", 0, 143)), late])) == {"slow": 400 * MS}


def test_nobody_runs_on_for_longer_than_a_day() -> None:
    ages = Trace(
        timestamp=WALL_MS,
        message_id=message_id(),
        request_id=REQUEST,
        component="model slow",
        boot=BOOT,
        spans=[Span(name="evaluate", start_ns=2**63 - 1, duration_ns=2**63 - 1)] * 64,
    )
    assert ran_on(knit(REQUEST, [trace("rendezvous", ("wait", 0, 143)), ages])) == {"slow": 86_400_000 * MS}


def test_waiting_after_the_answer_is_no_computing() -> None:
    waits = trace("model slow", ("wait", 10, 900))
    assert ran_on(knit(REQUEST, [trace("rendezvous", ("wait", 0, 143)), waits])) == {}


@pytest.mark.parametrize(("at_ms", "compute_ms", "expected_ms"), [(543, 390, 390), (200, 390, 57), (100, 390, 0)])
def test_without_a_models_trace_its_late_score_and_the_wall_clock_give_an_estimate(
    at_ms: int, compute_ms: float, expected_ms: int
) -> None:
    whole = knit(REQUEST, [result(outcome("slow", "pending")), score("slow", at_ms=at_ms, compute_ms=compute_ms)])
    [part] = whole.parts
    assert part.ran_on_ns == expected_ms * MS
    assert part.estimated == (expected_ms > 0)


def test_a_trace_of_another_boot_is_placed_by_the_wall_clock_and_marked() -> None:
    far = trace("model far", ("evaluate", 50, 100), boot=OTHER_BOOT, clock_ahead_ms=7)
    whole = knit(REQUEST, [*whole_story(), far])
    [bar] = [bar for bar in whole.bars if bar.component == "model far"]
    assert (bar.start_ns // MS, bar.end_ns // MS) == (57, 107)
    assert bar.by_wall
    assert not any(bar.by_wall for bar in whole.bars if bar.component != "model far")


def test_a_far_component_that_seems_to_begin_first_begins_the_picture() -> None:
    far = trace("capture-far", ("trigger", 0, 5), boot=OTHER_BOOT, clock_ahead_ms=-40)
    whole = knit(REQUEST, [*whole_story()[1:], far])
    assert whole.bars[0].component == "capture-far"
    assert whole.bars[0].start_ns == 0
    assert whole.answered_ns == (143 + 40) * MS


def test_the_clock_of_the_rendezvous_is_home_even_where_others_tell_more() -> None:
    far = [trace(f"model far-{n}", ("evaluate", 20, 30), boot=OTHER_BOOT) for n in range(3)]
    whole = knit(REQUEST, [*far, trace("rendezvous", ("wait", 10, 143), boot=BOOT)])
    assert [bar.by_wall for bar in whole.bars] == [False, True, True, True]


def test_without_a_trace_of_the_rendezvous_the_results_time_stamp_is_the_moment_of_the_answer() -> None:
    whole = knit(REQUEST, [trace("model champion", ("evaluate", 0, 140)), result()])
    assert whole.answered_ns == 143 * MS


def test_a_repeated_request_keeps_its_first_answer() -> None:
    again = trace("rendezvous", ("wait", 900, 950))
    assert knit(REQUEST, [*whole_story(), again]).answered_ns == 143 * MS


def test_nothing_said_gives_an_empty_picture() -> None:
    whole = knit(REQUEST, [])
    assert (whole.bars, whole.parts, whole.answered_ns, whole.length_ns) == ((), (), None, 0)
