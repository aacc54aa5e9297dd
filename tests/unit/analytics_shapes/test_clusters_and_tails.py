"""The relation between scores, and short periods at their tails."""

import msgspec
import numpy as np
import pytest
from shape_scenes import related

from roost_rendezvous.analytics.reading import Signal
from roost_rendezvous.analytics.shapes import kmeans
from roost_rendezvous.analytics.shapes.clusters import ClusterWatch, KeptClusters
from roost_rendezvous.analytics.shapes.evidence import ALONE
from roost_rendezvous.analytics.shapes.tails import KeptTail, TailSettings, TailWatch

SIGNAL = Signal(task="nest", kind="shape", subject="model", of="champion")
TAIL = Signal(task="nest", kind="score", subject="canary", of="canary", part="tails")
NAMES = ("orpington", "rock")


def first_alarm(watch: ClusterWatch, vectors: list[list[float]]) -> int | None:
    for nth, vector in enumerate(vectors):
        watch.handle(vector)
        if watch.surprise >= ALONE:
            return nth
    return None


def test_a_changed_correlation_is_found_within_forty_samples_though_each_score_is_as_before() -> None:
    for seed in range(5):
        found = first_alarm(ClusterWatch(SIGNAL, "scores", NAMES), related(seed, 120, 80, 0.9, -0.9))
        assert found is not None
        assert 120 <= found < 160


def test_an_unchanged_relation_raises_nothing() -> None:
    for seed in range(5):
        assert first_alarm(ClusterWatch(SIGNAL, "scores", NAMES), related(seed, 120, 80, 0.9, 0.9)) is None


def test_a_rare_class_that_becomes_frequent_is_found_by_the_rate_of_its_cluster() -> None:
    rng = np.random.default_rng(1)
    places = np.array([[0.9, 0.05], [0.05, 0.9], [0.05, 0.05]])

    def seen(count: int, shares: tuple[float, ...]) -> list[list[float]]:
        drawn: list[list[float]] = (places[rng.choice(3, count, p=shares)] + rng.normal(0, 0.02, (count, 2))).tolist()
        return drawn

    watch = ClusterWatch(SIGNAL, "scores", NAMES)
    for vector in seen(400, (0.6, 0.05, 0.35)) + seen(60, (0.3, 0.5, 0.2)):
        watch.handle(vector)
    assert watch.visits is not None
    assert watch.far is not None
    assert watch.visits.surprise > ALONE
    assert watch.far.surprise < ALONE
    assert "were like rock 0.9" in watch.tick(0).sentence


def test_clusters_wait_for_a_history_and_take_names_until_then() -> None:
    watch = ClusterWatch(SIGNAL, "scores", ())
    assert watch.widen("a")
    watch.handle([0.5])
    assert watch.widen("b")
    assert watch.tick(0).why_not == "not enough history: 1 of 60 answers"
    for vector in related(1, 80, 0, 0.5, 0.5):
        watch.handle(vector)
    assert watch.centres is not None
    assert not watch.widen("c")


def test_vectors_placed_together_give_what_each_placed_at_once_gives() -> None:
    asked, left = (ClusterWatch(SIGNAL, "scores", NAMES) for _ in range(2))
    for vector in related(4, 150, 70, 0.9, -0.9):
        asked.handle(vector)
        left.handle(vector)
        assert asked.surprise >= 0.0
    assert left.tick(1) == asked.tick(1)
    assert left.snapshot() == asked.snapshot()


def test_restored_clusters_go_on_as_if_nothing_had_been() -> None:
    vectors = related(3, 100, 40, 0.9, -0.9)
    whole, before, after = (ClusterWatch(SIGNAL, "scores", NAMES) for _ in range(3))
    for vector in vectors:
        whole.handle(vector)
    for vector in vectors[:90]:
        before.handle(vector)
    after.restore(msgspec.json.decode(msgspec.json.encode(before.snapshot()), type=KeptClusters))
    for vector in vectors[90:]:
        after.handle(vector)
    assert after.surprise == pytest.approx(whole.surprise, rel=0.01)


def test_k_means_finds_what_is_there_and_the_same_again() -> None:
    rng = np.random.default_rng(2)
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = np.concatenate([place + rng.normal(0, 0.05, (40, 2)) for place in places])
    found = kmeans.fit(points, 3, seed=1)
    assert sorted(np.round(found, 0).tolist()) == sorted(places.tolist())
    assert np.array_equal(found, kmeans.fit(points, 3, seed=1))


def test_k_means_of_equal_points_is_one_centre() -> None:
    assert len(kmeans.fit(np.ones((10, 2)), 4)) == 1


def test_k_means_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="no clusters"):
        kmeans.fit(np.zeros((0, 2)), 2)


def period(watch: TailWatch, seed: int, shifted: float = 0.0, *, scale: float = 1.0) -> float | None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, scale, 1000)
    values[rng.random(1000) < shifted] += 3.5
    for value in values.tolist():
        watch.handle(value)
    return watch.close(seed).surprise


def test_two_in_a_hundred_from_elsewhere_are_found_in_their_first_period() -> None:
    watch = TailWatch(TAIL, "score")
    quiet = [period(watch, seed) for seed in range(20)]
    assert quiet[:5] == [None] * 5
    assert max(each for each in quiet if each is not None) < 3
    kept = watch.snapshot()
    for seed in range(100, 105):
        assert (period(watch, seed, 0.02) or 0.0) >= 3
        watch.restore(kept)
    assert "above" in watch.tick(0).sentence or watch.tick(0).surprise is not None


def test_a_short_history_says_so() -> None:
    watch = TailWatch(TAIL, "score")
    period(watch, 1)
    assert watch.tick(0).why_not == "not enough history: 1 of 5 periods"


def test_a_period_with_few_values_waits_for_more() -> None:
    watch = TailWatch(TAIL, "score", TailSettings(least_values=50))
    for _ in range(20):
        watch.handle(0.5)
    assert watch.close(1).why_not == "not enough values: 20 of 50 in the period"
    assert watch.pending == 20


def test_periods_that_always_differ_by_more_than_chance_are_judged_by_that() -> None:
    rng = np.random.default_rng(9)
    watch = TailWatch(TAIL, "score")
    said = [period(watch, seed, scale=float(rng.lognormal(0, 0.15))) for seed in range(60)]
    later = [each for each in said[30:] if each is not None]
    assert sum(each >= 3 for each in later) <= 3


def test_a_restored_tail_goes_on_as_if_nothing_had_been() -> None:
    whole, after = TailWatch(TAIL, "score"), TailWatch(TAIL, "score")
    for seed in range(8):
        period(whole, seed)
    after.restore(msgspec.json.decode(msgspec.json.encode(whole.snapshot()), type=KeptTail))
    assert period(after, 50) == pytest.approx(period(whole, 50), abs=0.2)


def test_a_restart_within_a_period_counts_what_was_before_it() -> None:
    whole, after = TailWatch(TAIL, "score"), TailWatch(TAIL, "score")
    for seed in range(6):
        period(whole, seed)
    for value in (0.1, 0.2, 5.0):
        whole.handle(value)
    after.restore(whole.snapshot())
    assert after.pending == whole.pending == 3
    assert after.snapshot() == whole.snapshot()


def test_a_band_of_settings_that_make_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 periods"):
        TailSettings(least_periods=1)
