"""Leave-one-out on planted models: what is known to matter is found, and what is known not to matter is called dead."""

import random
from collections.abc import Mapping, Sequence

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.features.leave_out import LeaveOutReport, LeaveOutSettings, leave_one_out
from roost_rendezvous.analytics.features.values import Inputs, Value, flat


def rows(count: int = 300, seed: int = 1) -> list[dict[str, Value]]:
    draw = random.Random(seed)
    return [
        {
            "strong": draw.gauss(0, 1),
            "weak": draw.gauss(0, 1),
            "door": draw.choice(["open", "shut"]),
            "dead": draw.gauss(0, 1),
            "constant": 7,
            "a": draw.random() < 0.5,
            "b": draw.random() < 0.5,
        }
        for _ in range(count)
    ]


def model(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
    """Strong, weak, a word, and two that matter only together."""
    found = []
    for row in some:
        score = 0.5 + 0.1 * float(row.get("strong", 0) or 0) + 0.01 * float(row.get("weak", 0) or 0)
        score += 0.05 * (row.get("door") == "open") + 0.05 * (row.get("a") != row.get("b"))
        found.append({"hen": score, "nothing": 1 - score})
    return found


@pytest.fixture(scope="module")
def report() -> LeaveOutReport:
    return leave_one_out(model, rows())


def test_variables_come_in_the_order_of_what_they_do(report: LeaveOutReport) -> None:
    names = [effect.name for effect in report.effects]
    assert names[0] == "strong"
    assert set(names[-2:]) == {"constant", "dead"}
    by_name = {effect.name: effect for effect in report.effects}
    assert by_name["strong"].mean_delta > 5 * by_name["weak"].mean_delta
    assert by_name["strong"].relabelled > 0.1


def test_a_variable_that_no_answer_depends_on_is_dead_to_the_bit(report: LeaveOutReport) -> None:
    assert report.dead == ("dead",)
    dead = next(effect for effect in report.effects if effect.name == "dead")
    assert (dead.max_delta, dead.relabelled) == (0.0, 0.0)
    assert dead.altered > 300


def test_a_variable_that_never_varies_is_not_called_dead(report: LeaveOutReport) -> None:
    constant = next(effect for effect in report.effects if effect.name == "constant")
    assert (constant.verdict, constant.altered) == ("never varies", 0)


def test_variables_that_matter_only_together_are_both_found(report: LeaveOutReport) -> None:
    by_name = {effect.name: effect for effect in report.effects}
    assert {by_name["a"].verdict, by_name["b"].verdict} == {"used"}


def test_a_variable_that_is_masked_at_its_typical_value_is_found_by_exchanging() -> None:
    def gate(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
        return [{"x": float(bool(row["off"]) and bool(row["also"]))} for row in some]

    # The rare partner is on where this one is typical already: a fixed value changes nothing at all.
    table: list[dict[str, Value]] = [{"off": True, "also": place == 0} for place in range(40)]
    table += [{"off": False, "also": False} for _ in range(10)]
    found = {effect.name: effect for effect in leave_one_out(gate, table).effects}
    assert found["off"].typical_delta == 0
    assert found["also"].verdict == "used"
    settings = LeaveOutSettings(rounds=40)
    found = {effect.name: effect for effect in leave_one_out(gate, table, settings).effects}
    assert found["off"].verdict == "used"


def test_two_that_say_the_same_show_their_worth_when_left_out_together() -> None:
    draw = random.Random(3)
    table: list[dict[str, Value]] = []
    for _ in range(200):
        value = draw.gauss(0, 1)
        table.append({"one": value, "copy": value})

    def leans_on_either(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
        return [{"x": max(float(row["one"] or 0), float(row["copy"] or 0))} for row in some]

    report = leave_one_out(leans_on_either, table, groups=[("copy", "one")])
    assert report.groups[0].of == ("copy", "one")
    assert report.groups[0].mean_delta > 1.5 * max(effect.mean_delta for effect in report.effects)


def test_a_model_that_is_noisy_calls_nothing_used_below_its_own_noise() -> None:
    draw = random.Random(4)

    def noisy(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
        return [{"x": draw.random()} for _ in some]

    report = leave_one_out(noisy, rows(100))
    assert report.noise > 0.5
    assert all(effect.max_delta <= 1 for effect in report.effects)


def test_a_variable_that_some_rows_lack_is_exchanged_as_present_or_absent() -> None:
    def asks_whether_it_is_there(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
        return [{"x": float("flag" in row)} for row in some]

    table: list[dict[str, Value]] = [{"other": 1, **({"flag": 1} if place % 3 == 0 else {})} for place in range(90)]
    effect = leave_one_out(asks_whether_it_is_there, table).effects[0]
    assert (effect.name, effect.verdict, round(effect.present, 2)) == ("flag", "used", 0.33)


def test_a_run_asks_no_more_than_its_bounds_say_and_at_most_a_batch_at_a_time() -> None:
    sizes: list[int] = []

    def counted(some: Sequence[Inputs]) -> list[Mapping[str, float]]:
        sizes.append(len(some))
        return model(some)

    settings = LeaveOutSettings(rows=50, features=3, rounds=1, batch=16)
    report = leave_one_out(counted, rows(300), settings)
    assert (report.rows, report.offered, len(report.effects), report.dropped_features) == (50, 300, 3, 4)
    assert max(sizes) <= 16
    assert sum(sizes) == report.evaluations <= 50 * (2 + 3 * 2)


def test_the_same_rows_give_the_same_report() -> None:
    assert leave_one_out(model, rows()) == leave_one_out(model, rows())


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(Misuse, match="rows to compare"):
        leave_one_out(model, rows(1))
    with pytest.raises(Misuse, match="answers to"):
        leave_one_out(lambda some: [], rows(10))
    with pytest.raises(Misuse, match="rounds"):
        LeaveOutSettings(rounds=0)


def test_nested_values_become_flat_names() -> None:
    assert flat({"a": {"b": [1, {"c": None}], "d": True}}) == {"a.b.0": 1, "a.b.1.c": None, "a.d": True}
