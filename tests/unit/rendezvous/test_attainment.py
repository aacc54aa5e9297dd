"""What models attained is kept over restarts, and warns of a schedule that nobody can keep."""

from collections import Counter
from pathlib import Path

import pytest

from roost_broker.messages import ModelOutcome
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server.attainment import (
    ENOUGH,
    FILE,
    MAX_MODELS,
    WRITE_EVERY_NS,
    Attainment,
    Record,
    never_in_time,
    read,
)


def schedule(*steps: tuple[int, list[str]], default_ms: int = 1900, **more: object) -> Schedule:
    return schedules.parse(
        {
            "task": "nest",
            "sla_ms": 2000,
            "step": [{"after_ms": after, "accept": accept} for after, accept in steps],
            "default": {"after_ms": default_ms, "label": "unknown"},
            **more,
        }
    )


def said(model: str, elapsed_ms: float, *, version: str = "1") -> ModelOutcome:
    return ModelOutcome(model=model, version=version, status="answered", elapsed_ms=elapsed_ms)


def record(fastest_ms: float, answers: int = ENOUGH) -> Record:
    return Record(answers=answers, fastest_ms=fastest_ms)


def test_answers_are_counted_by_model_and_survive_a_restart(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    first = Attainment(tmp_path, counts)
    for elapsed in (0.4, 30_000.0, 900_000.0):
        counts["requests"] += 1
        first.take([said("champion", elapsed), ModelOutcome(model="fast", status="declined", elapsed_ms=3.0)])
    first.close()
    second = Attainment(tmp_path, Counter({"requests": 2}))
    second.take([said("champion", 5.0)])
    found = second.models["champion"]
    assert (found.answers, found.fastest_ms) == (4, 0.4)
    assert [index for index, count in enumerate(found.histogram) if count] == [0, 3, 15, 20]
    assert "fast" not in second.models
    assert second.totals["requests"] == 5
    second.close()
    assert read(tmp_path).totals["requests"] == 5


def test_a_new_version_of_a_model_begins_anew(tmp_path: Path) -> None:
    attainment = Attainment(tmp_path, Counter())
    attainment.take([said("champion", 5000.0, version="1")])
    attainment.close()
    attainment.take([said("champion", 50.0, version="2")])
    assert attainment.models["champion"].answers == 1
    assert attainment.models["champion"].fastest_ms == 50.0


def test_it_is_written_seldom_and_only_when_there_is_something_new(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    attainment = Attainment(tmp_path, counts)
    attainment.write_when_due(0)
    attainment.write_when_due(WRITE_EVERY_NS)
    attainment.close()
    assert not (tmp_path / FILE).exists()
    attainment.take([said("champion", 1.0)])
    attainment.write_when_due(2 * WRITE_EVERY_NS - 1)
    attainment.write_when_due(2 * WRITE_EVERY_NS)
    attainment.take([said("champion", 2.0)])
    attainment.close()
    assert read(tmp_path).models["champion"].answers == 2


def test_two_servers_of_a_hand_over_add_to_the_same_file(tmp_path: Path) -> None:
    one, other = Attainment(tmp_path, Counter(requests=3)), Attainment(tmp_path, Counter(requests=4))
    assert other.totals["requests"] == 4
    for attainment in (one, other):
        attainment.take([said("champion", 1.0)])
        attainment.close()
    assert read(tmp_path).models["champion"].answers == 2
    assert read(tmp_path).totals["requests"] == 7


@pytest.mark.parametrize("content", [b"{", b'{"models":{"a":{"histogram":[1]}}}', b"\xff"])
def test_a_file_that_is_none_counts_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read(tmp_path).models == {}


def test_the_number_of_models_is_bounded(tmp_path: Path) -> None:
    attainment = Attainment(tmp_path, Counter())
    attainment.take([said(f"m{number}", 1.0) for number in range(2 * MAX_MODELS)])
    attainment.close()
    attainment.take([said("newest", 1.0)])
    attainment.close()
    assert len(read(tmp_path).models) == MAX_MODELS
    assert "newest" in read(tmp_path).models


LADDER = schedule((0, ["a"]), (600, ["b"]))


def test_a_schedule_that_nobody_ever_kept_is_warned_of_with_the_fastest() -> None:
    (warning,) = never_in_time(LADDER, {"a": record(2500), "b": record(1950, 40)})
    assert "1900 ms" in warning
    assert "SLA 2000 ms" in warning
    assert "b's, after 1950 ms" in warning


@pytest.mark.parametrize(
    "known",
    [
        {"a": record(2500), "b": record(1800)},
        {"a": record(2500)},
        {"a": record(2500), "b": record(9000, ENOUGH - 1)},
        {},
    ],
    ids=["one was in time", "one is unknown", "one is hardly known", "nothing is known"],
)
def test_a_schedule_of_which_too_little_is_known_is_not_warned_of(known: dict[str, Record]) -> None:
    assert never_in_time(LADDER, known) == []


def test_where_anybody_may_answer_the_other_known_models_count_too() -> None:
    anybody = schedule((0, ["a"]), (600, ["*"]), ignore=["canary"])
    slow = {"a": record(2500), "canary": record(1)}
    assert never_in_time(anybody, slow)
    assert never_in_time(anybody, {**slow, "stranger": record(100)}) == []


def test_members_count_in_the_place_of_a_quorum() -> None:
    jury = schedule((0, ["jury"]), quorum={"jury": {"members": ["a", "b"], "need": 2}})
    assert never_in_time(jury, {"a": record(2500), "b": record(2400)})
    assert never_in_time(jury, {"a": record(2500)}) == []
