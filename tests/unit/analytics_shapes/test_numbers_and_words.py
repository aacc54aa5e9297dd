"""One stream of numbers or of words, by its own history."""

import msgspec
import numpy as np
import pytest
from shape_scenes import CHANGE, durations, orpington

from roost_rendezvous.analytics.reading import Signal
from roost_rendezvous.analytics.shapes.categories import OTHERS, CategoryWatch
from roost_rendezvous.analytics.shapes.cells import Cells, quantile_edges
from roost_rendezvous.analytics.shapes.evidence import ALONE
from roost_rendezvous.analytics.shapes.latency import latency_watch
from roost_rendezvous.analytics.shapes.making import TENTHS
from roost_rendezvous.analytics.shapes.numbers import KeptNumber, NumberWatch

SIGNAL = Signal(task="nest", kind="score", subject="model", of="champion", part="buff orpington")
STEP = Signal(task="nest", kind="latency", subject="model", of="champion", part="compute", side="operational")
WORD = Signal(task="nest", kind="input", subject="input", of="weather")


def first_alarm(watch: NumberWatch, values: list[float], level: float = ALONE) -> int | None:
    for nth, value in enumerate(values):
        watch.handle(value)
        if (watch.tick(nth).surprise or 0.0) >= level:
            return nth
    return None


def test_the_relabelled_breed_is_found_within_ten_samples_and_not_before() -> None:
    found = [
        first_alarm(NumberWatch(SIGNAL, "Buff Orpington", bins=TENTHS), orpington(seed, changed=True))
        for seed in range(10)
    ]
    assert sum(nth is not None and CHANGE <= nth < CHANGE + 10 for nth in found) >= 9


def test_without_a_change_nothing_is_found() -> None:
    found = [
        first_alarm(NumberWatch(SIGNAL, "Buff Orpington", bins=TENTHS), orpington(seed, changed=False))
        for seed in range(10)
    ]
    assert found.count(None) >= 9


def test_the_reading_names_the_range_what_is_usual_and_what_is_now() -> None:
    watch = NumberWatch(SIGNAL, "champion's score for buff orpington", bins=TENTHS, automatic=False)
    for score in orpington(1, changed=True):
        watch.handle(score)
    reading = watch.tick(7)
    assert reading.at == 7
    assert reading.signal == SIGNAL
    assert reading.now == 1.0
    assert reading.normal is not None
    assert reading.normal < 0.6
    assert reading.sentence.startswith("champion's score for buff orpington was at most 0.1 in 100% of the newest 50")


def test_too_few_values_say_so_and_have_no_surprise() -> None:
    watch = NumberWatch(SIGNAL, "score")
    for value in (0.1, 0.2):
        watch.handle(value)
    reading = watch.tick(1)
    assert reading.surprise is None
    assert reading.why_not == "not enough history: 2 of 30 values"


def test_what_is_no_number_is_left_out() -> None:
    watch = NumberWatch(SIGNAL, "score")
    for value in (float("nan"), float("inf"), 0.5):
        watch.handle(value)
    assert watch.tick(1).events == 1


def test_a_number_that_never_changes_may_stay_as_it_is_and_is_found_when_it_moves() -> None:
    watch = NumberWatch(SIGNAL, "score")
    assert first_alarm(watch, [1.0] * 1500) is None
    assert first_alarm(watch, [0.9] * 10) is not None
    assert watch.tick(0).sentence.startswith("score was ")


def test_all_durations_a_fifth_longer_are_found_long_before_any_deadline() -> None:
    watch = latency_watch(STEP, "compute")
    assert first_alarm(watch, durations(1, 600)) is None
    slower = durations(2, 200, factor=1.2)
    found = first_alarm(watch, slower)
    assert found is not None
    assert found < 60
    assert max(slower) < 100  # of an SLA of 2,000 ms


def test_one_request_in_a_hundred_three_times_slower_is_found_within_a_thousand() -> None:
    watch = latency_watch(STEP, "compute")
    assert first_alarm(watch, durations(3, 6000), 5.0) is None
    assert first_alarm(watch, durations(4, 1000, slow=0.01), 5.0) is not None
    assert " ms in " in watch.tick(0).sentence


def test_the_new_normal_is_learnt_after_an_acknowledgement() -> None:
    watch = NumberWatch(SIGNAL, "score", bins=TENTHS)
    scores = orpington(3, changed=True)
    assert first_alarm(watch, scores) is not None
    watch.relearn()
    assert watch.tick(0).surprise is None
    assert first_alarm(watch, scores[CHANGE:]) is None


def test_a_restored_number_goes_on_as_if_nothing_had_been() -> None:
    scores = orpington(4, changed=True)
    whole, before, after = (NumberWatch(SIGNAL, "score", bins=TENTHS) for _ in range(3))
    for score in scores:
        whole.handle(score)
    for score in scores[:100]:
        before.handle(score)
    kept = msgspec.json.decode(msgspec.json.encode(before.snapshot()), type=KeptNumber)
    after.restore(kept)
    for score in scores[100:]:
        after.handle(score)
    assert after.tick(1).surprise == pytest.approx(whole.tick(1).surprise, rel=0.01)
    assert after.tick(1).sentence == whole.tick(1).sentence


def test_an_atom_has_a_cell_of_its_own() -> None:
    edges = quantile_edges([0.0] * 60 + [value / 40 for value in range(1, 41)])
    cells = Cells(edges)
    assert cells.of(-1e-9) < cells.of(0.0) < cells.of(1e-9)


def test_every_set_of_cells_is_told_once_and_never_as_its_complement() -> None:
    cells = Cells([0.1, 0.2, 0.5], [0.2])
    table = cells.sets()
    columns = {table[:, at].tobytes() for at in range(table.shape[1])}
    spans = {cells.span(table[:, at]) for at in range(table.shape[1])}
    assert len(columns) == len(spans) == table.shape[1]
    assert not any((~table[:, at]).tobytes() in columns for at in range(table.shape[1]))


def words(seed: int, count: int, wet: float) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["wet" if each < wet else "dry" for each in rng.random(count)]


def test_a_word_said_more_often_is_found_and_named() -> None:
    watch = CategoryWatch(WORD, "the weather")
    for word in words(1, 300, 0.2) + words(2, 60, 0.8):
        watch.handle(word)
    reading = watch.tick(1)
    assert (reading.surprise or 0.0) > ALONE
    assert reading.sentence.startswith("the weather was ")


def test_a_word_never_said_before_is_found_as_one_of_the_others() -> None:
    watch = CategoryWatch(WORD, "the weather")
    for word in words(3, 300, 0.5) + ["hail"] * 4:
        watch.handle(word)
    assert (watch.tick(1).surprise or 0.0) > ALONE
    assert OTHERS in watch.tick(1).sentence


def test_a_field_of_which_every_value_is_new_is_no_change() -> None:
    watch = CategoryWatch(WORD, "the hash")
    for nth in range(1200):
        watch.handle(f"{nth:064x}")
    assert (watch.tick(1).surprise or 0.0) < ALONE
