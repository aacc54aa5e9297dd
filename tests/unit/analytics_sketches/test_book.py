"""The period that is going on: which period a value belongs to, what is closed when, and the bounds."""

import json

import numpy as np
import pytest

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches.book import BookSettings, SketchBook
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.qualifiers import (
    MAX_LENGTH,
    OTHER,
    PERIOD_S,
    Qualifiers,
    Wish,
    merged,
    period_of,
    qualifiers,
)

SECOND = 1_000_000_000
START = 1_700_000_400
"""Seconds; begins a period."""
HEN = qualifiers("henhouse", "score", model="champion", label="hen")
TOOK = qualifiers("henhouse", "latency", model="champion")


def at(seconds: float) -> int:
    return round((START + seconds) * SECOND)


def test_periods_begin_every_ten_minutes_of_utc_whatever_the_zone() -> None:
    assert period_of(at(0)) == START
    assert period_of(at(599.999)) == START
    assert period_of(at(600)) == START + PERIOD_S
    assert START % 3600 % 600 == 0
    assert period_of(-1) == -PERIOD_S


def test_a_period_is_closed_when_late_values_are_no_longer_waited_for() -> None:
    book = SketchBook(BookSettings(late_s=60))
    book.add(HEN, 0.5, at(10), at(10))
    book.add(TOOK, 120.0, at(11), at(11))
    assert book.deadline() == at(660)
    assert book.tick(at(659)) == []
    closed = book.tick(at(660))
    assert [(one.period, one.about, one.sketch.count) for one in closed] == [(START, HEN, 1), (START, TOOK, 1)]
    assert isinstance(closed[0].sketch, TDigest)
    assert isinstance(closed[1].sketch, LatencyHistogram)
    assert (len(book), book.deadline()) == (0, None)


def test_a_value_that_is_heard_of_late_counts_in_its_own_period_while_that_is_open() -> None:
    book = SketchBook(BookSettings(late_s=60))
    book.add(HEN, 0.1, at(599), at(630))
    book.add(HEN, 0.2, at(601), at(630))
    assert [one.period for one in book.close()] == [START, START + PERIOD_S]
    assert book.displaced == 0


@pytest.mark.parametrize("when", [-5000, 90_000])
def test_a_value_from_long_ago_or_from_the_future_counts_now_and_is_told(when: int) -> None:
    book = SketchBook()
    book.add(HEN, 0.1, at(when), at(10))
    assert [one.period for one in book.close()] == [START]
    assert book.displaced == 1


def test_combinations_beyond_the_bound_share_one_of_their_task_and_kind() -> None:
    book = SketchBook(BookSettings(max_combinations=2))
    for i in range(5):
        book.add(qualifiers("henhouse", "score", model=f"model-{i}"), 0.5, at(0), at(0))
    closed = {one.about.model: one.sketch.count for one in book.close()}
    assert closed == {"model-0": 1, "model-1": 1, OTHER: 3}
    assert book.shared == 3


def test_a_sketch_made_elsewhere_is_added() -> None:
    book = SketchBook()
    book.add(HEN, 0.5, at(0), at(0))
    book.add_sketch(HEN, TDigest.of([0.1, 0.2]), at(1), at(1))
    book.add_sketch(TOOK, LatencyHistogram.of([5.0]), at(1), at(1))
    assert [one.sketch.count for one in book.close()] == [3, 1]
    with pytest.raises(TypeError, match="another sort"):
        book.add_sketch(TOOK, TDigest.of([0.1]), at(1), at(1))


def test_a_restart_goes_on_with_what_was_open() -> None:
    book = SketchBook()
    rng = np.random.default_rng(1)
    for value in rng.random(700).tolist():
        book.add(HEN, value, at(1), at(1))
        book.add(TOOK, value * 1000, at(1), at(1))
    again = SketchBook()
    again.restore(json.loads(json.dumps(book.snapshot())))
    again.add(HEN, 0.5, at(2), at(2))
    current = again.current(HEN, at(3))
    assert isinstance(current, TDigest)
    assert current.count == 701
    assert current.cdf(0.5) == pytest.approx(0.5, abs=0.05)
    assert [one.sketch.count for one in again.close()] == [701, 700]


def test_a_snapshot_that_is_none_is_refused() -> None:
    with pytest.raises((PeerError, ValueError)):
        SketchBook().restore([[START, {"task": "t", "kind": "score"}, "AAAA"]])


def test_tags_have_one_order_and_long_ones_are_cut() -> None:
    one = qualifiers("t", "score", tags={"b": "2", "a": "1"})
    assert one == qualifiers("t", "score", tags={"a": "1", "b": "2"})
    assert one.name == "t/score a=1 b=2"
    assert len(qualifiers("t" * 500, "score").task) == MAX_LENGTH


def test_a_wish_matches_what_it_names_and_leaves_the_rest_open() -> None:
    one = qualifiers("t", "score", model="m", version="2", tags={"camera": "nest", "cohort": "a"})
    assert Wish(kind="score").matches(one)
    assert Wish(kind="score", model="m", tags={"cohort": "a"}).matches(one)
    assert not Wish(kind="latency").matches(one)
    assert not Wish(kind="score", version="1").matches(one)
    assert not Wish(kind="score", tags={"cohort": "b"}).matches(one)
    assert not Wish(kind="score", model="").matches(one)


def test_sketches_of_two_sorts_are_never_one() -> None:
    with pytest.raises(PeerError, match="cannot be one"):
        merged([TDigest.of([1.0]), LatencyHistogram.of([1.0])])
    assert merged([]) is None


def test_combinations_sort_and_hash() -> None:
    assert sorted({HEN, TOOK, HEN}) == [TOOK, HEN]
    assert isinstance(HEN, Qualifiers)


def test_bounds_that_cannot_be_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="use a value from"):
        BookSettings(late_s=-1)
