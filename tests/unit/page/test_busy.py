"""How busy models are and what more they could take, from the states that they publish."""

import pytest

from roost_broker.messages import ModelState, Usage
from roost_edge.page.busy import LEAST, Busy
from roost_edge.page.measuring import Measured
from roost_edge.page.view import View
from roost_rendezvous.analytics.faces import openmetrics

BEGIN = 1_800_000_000_000


def state(at_s: float, cpu_ms: int, *, session: int = 1) -> ModelState:
    usage = Usage(cpu_ms=cpu_ms, memory_bytes=1)
    return ModelState(
        timestamp=BEGIN + round(at_s * 1_000),
        message_id="a" * 32,
        model="champion",
        state="ready",
        session=session,
        usage=usage,
    )


def told(busy: Busy) -> dict[str, float]:
    return {family.name: float(number) for family in busy.told() for _, number in family.samples}  # type: ignore[arg-type]  # gauges


def test_the_busiest_stretch_of_an_hour_decides_what_more_it_could_take() -> None:
    busy, spent = Busy(), 0
    for nth in range(LEAST + 1):
        spent += 5_000 if nth == 3 else 1_000
        busy.take("nest", state(10 * nth, spent))
    assert told(busy) == {"roost_model_busy_ratio": 0.1, "roost_model_head_room_ratio": 2.0}
    for nth in range(LEAST + 1, LEAST + 500):
        spent += 1_000
        busy.take("nest", state(10 * nth, spent))
    assert told(busy)["roost_model_head_room_ratio"] == pytest.approx(10.0)


def test_with_too_few_states_head_room_is_left_out() -> None:
    busy = Busy()
    for nth in range(LEAST):
        busy.take("nest", state(10 * nth, 1_000 * nth))
    assert set(told(busy)) == {"roost_model_busy_ratio"}


def test_another_process_and_a_clock_that_was_set_are_no_stretch() -> None:
    busy = Busy()
    for one in (state(0, 90_000), state(10, 0, session=2), state(99_999, 1, session=2), state(5, 2, session=2)):
        busy.take("nest", one)
    assert told(busy) == {}
    busy.take("nest", state(15, 2_002, session=2))
    assert told(busy) == {"roost_model_busy_ratio": 0.2}


def test_states_that_come_at_once_are_one_stretch() -> None:
    busy = Busy()
    for at, cpu in ((0, 0), (0.1, 100), (0.2, 200), (10, 1_000)):
        busy.take("nest", state(at, cpu))
    assert told(busy) == {"roost_model_busy_ratio": 0.1}


def test_a_scraper_is_told_both() -> None:
    measured = Measured(0)
    for nth in range(LEAST + 1):
        measured.take(state(10 * nth, 2_500 * nth), "nest")
    text = openmetrics.render(measured.families(View(("nest",), ()), "1"))
    assert 'roost_model_busy_ratio{task="nest",model="champion",replica="0"} 0.25' in text
    assert 'roost_model_head_room_ratio{task="nest",model="champion",replica="0"} 4.0' in text
