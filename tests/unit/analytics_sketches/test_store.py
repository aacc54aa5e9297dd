"""The store: any period and combination, bounded, and sound after whatever happens to its file."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from roost_broker.errors import Misuse, PeerError
from roost_rendezvous.analytics.sketches.asking import SketchReader
from roost_rendezvous.analytics.sketches.book import Closed
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, OTHER, PERIOD_S, Qualifiers, Wish, qualifiers
from roost_rendezvous.analytics.sketches.settings import SketchSettings
from roost_rendezvous.analytics.sketches.store import SketchStore

MONDAY = 20_000 * DAY_S
HEN = qualifiers("henhouse", "score", model="champion", label="hen", tags={"camera": "nest"})
JAY = qualifiers("henhouse", "score", model="champion", label="jay", tags={"camera": "nest"})
FAST = qualifiers("henhouse", "score", model="fast", label="hen", tags={"camera": "door"})
TOOK = qualifiers("henhouse", "latency", model="champion")


def period(index: int, about: Qualifiers = HEN, values: tuple[float, ...] = (0.5,)) -> Closed:
    sketch = LatencyHistogram.of(values) if about.kind == "latency" else TDigest.of(values)
    return Closed(MONDAY + index * PERIOD_S, about, sketch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sketches" / "sketches.db"


@pytest.fixture
def store(path: Path) -> SketchStore:
    return SketchStore(path)


def count(path: Path, wish: Wish, since: int = 0, until: int = 100_000 * DAY_S) -> float:
    reader = SketchReader(path)
    try:
        found = reader.ask(wish, since, until).sketch
        return found.count if found is not None else 0.0
    finally:
        reader.close()


def test_any_combination_of_qualifiers_is_put_together(store: SketchStore, path: Path) -> None:
    store.put([period(0, HEN, (0.1, 0.2)), period(0, JAY, (0.9,)), period(0, FAST, (0.3, 0.4, 0.5))])
    assert count(path, Wish(kind="score")) == 6
    assert count(path, Wish(kind="score", model="champion")) == 3
    assert count(path, Wish(kind="score", label="hen")) == 5
    assert count(path, Wish(kind="score", tags={"camera": "door"})) == 3
    assert count(path, Wish(kind="score", task="henhouse", label="jay", tags={"camera": "nest"})) == 1
    assert count(path, Wish(kind="score", tags={"camera": "roof"})) == 0
    assert count(path, Wish(kind="latency")) == 0
    store.close()


def test_any_period_is_put_together_from_its_first_to_before_its_last(store: SketchStore, path: Path) -> None:
    store.put([period(i, HEN, (float(i),)) for i in range(10)])
    reader = SketchReader(path)
    found = reader.ask(Wish(kind="score"), MONDAY + 3 * PERIOD_S, MONDAY + 6 * PERIOD_S)
    assert found.sketches == 3
    assert isinstance(found.sketch, TDigest)
    assert (found.sketch.low, found.sketch.high) == (3.0, 5.0)
    assert reader.ask(Wish(kind="score"), MONDAY, MONDAY).sketch is None
    assert reader.span() == (MONDAY, MONDAY + 10 * PERIOD_S)
    with pytest.raises(Misuse, match="ends"):
        reader.ask(Wish(kind="score"), MONDAY, MONDAY - 1)
    reader.close()
    store.close()


def test_an_empty_store_answers_nothing_and_says_so(store: SketchStore, path: Path) -> None:
    reader = SketchReader(path)
    assert reader.ask(Wish(kind="score"), 0, MONDAY) == (None, 0, 0)
    assert (reader.span(), reader.combinations()) == (None, [])
    assert reader.digest(Wish(kind="score"), 0, MONDAY).count == 0
    reader.close()
    store.close()


def test_the_halves_of_a_period_around_a_restart_are_added(path: Path) -> None:
    for values in ((0.1, 0.2), (0.3,)):
        store = SketchStore(path)
        store.put([period(0, HEN, values), period(0, TOOK, values)])
        store.close()
    assert count(path, Wish(kind="score")) == 3
    assert count(path, Wish(kind="latency")) == 3


def test_a_batch_that_is_put_again_after_a_kill_counts_once(path: Path) -> None:
    store = SketchStore(path)
    store.put([period(0, HEN, (0.1, 0.2))], batch=3)
    store.close()
    store = SketchStore(path)
    store.put([period(0, HEN, (0.1, 0.2))], batch=3)
    store.put([period(0, HEN, (0.3,))], batch=4)
    assert count(path, Wish(kind="score")) == 3
    store.close()


def test_whole_days_come_from_their_roll_up_and_the_rest_from_periods(store: SketchStore, path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.random((3 * 144, 50))
    store.put([Closed(MONDAY + i * PERIOD_S, HEN, TDigest.of(values[i])) for i in range(len(values))])
    assert store.roll_up(MONDAY + 3 * DAY_S) == 3
    assert store.roll_up(MONDAY + 3 * DAY_S) == 0
    reader = SketchReader(path)
    since, until = MONDAY + 140 * PERIOD_S, MONDAY + 2 * DAY_S + 5 * PERIOD_S
    found = reader.ask(Wish(kind="score"), since, until)
    flat = reader.ask(Wish(kind="score"), since, until, rolled_up=False)
    assert (found.sketches, flat.sketches) == (4 + 1 + 5, 4 + 144 + 5)
    assert isinstance(found.sketch, TDigest)
    assert isinstance(flat.sketch, TDigest)
    assert found.sketch.count == flat.sketch.count == 153 * 50
    inside = values[140 : 2 * 144 + 5]
    for sketch in (found.sketch, flat.sketch):
        assert sketch.cdfs(np.quantile(inside, [0.01, 0.5, 0.99])) == pytest.approx([0.01, 0.5, 0.99], abs=0.005)
    reader.close()
    store.close()


def test_today_is_not_rolled_up(store: SketchStore) -> None:
    store.put([period(0), period(150)])
    assert store.roll_up(MONDAY + DAY_S + 3600) == 1
    store.close()


def test_what_comes_late_counts_before_and_after_its_day_is_rolled_up_again(store: SketchStore, path: Path) -> None:
    store.put([period(i) for i in range(144)])
    store.roll_up(MONDAY + DAY_S)
    store.put([period(7, HEN, (0.7, 0.8))])
    assert count(path, Wish(kind="score"), MONDAY, MONDAY + DAY_S) == 146
    assert store.roll_up(MONDAY + DAY_S) == 1
    assert count(path, Wish(kind="score"), MONDAY, MONDAY + DAY_S) == 146
    store.close()


def test_what_comes_after_the_periods_are_gone_is_added_to_the_day(path: Path) -> None:
    store = SketchStore(path, SketchSettings(keep_days=2))
    store.put([period(i) for i in range(144)])
    store.roll_up(MONDAY + 9 * DAY_S)
    assert store.tidy(MONDAY + 9 * DAY_S) == 144
    store.put([period(7, HEN, (0.7, 0.8))])
    store.roll_up(MONDAY + 9 * DAY_S)
    assert count(path, Wish(kind="score"), MONDAY, MONDAY + DAY_S) == 146
    store.close()


def test_groups_are_answered_apart(store: SketchStore, path: Path) -> None:
    store.put([period(0, HEN, (0.1, 0.2)), period(1, JAY, (0.9,)), period(0, FAST, (0.3,))])
    reader = SketchReader(path)
    found = reader.ask_by(Wish(kind="score"), lambda one: one.model, MONDAY, MONDAY + DAY_S)
    assert {name: one.sketch.count for name, one in found.items() if one.sketch} == {"champion": 3, "fast": 1}
    by_camera = reader.ask_by(Wish(kind="score"), lambda one: dict(one.tags)["camera"], MONDAY, MONDAY + DAY_S)
    assert {name: one.sketch.count for name, one in by_camera.items() if one.sketch} == {"nest": 3, "door": 1}
    reader.close()
    store.close()


def test_a_history_has_one_sketch_for_each_step(store: SketchStore, path: Path) -> None:
    store.put([period(i, HEN, (float(i), float(i))) for i in range(288)])
    store.roll_up(MONDAY + 2 * DAY_S)
    reader = SketchReader(path)
    hours = reader.history(Wish(kind="score"), MONDAY, MONDAY + DAY_S, step_s=3600)
    assert [start for start, _ in hours] == [MONDAY + i * 3600 for i in range(24)]
    assert {sketch.count for _, sketch in hours} == {12}
    days = reader.history(Wish(kind="score"), MONDAY, MONDAY + 2 * DAY_S, step_s=DAY_S)
    assert [sketch.count for _, sketch in days] == [288, 288]
    with pytest.raises(Misuse, match="multiple"):
        reader.history(Wish(kind="score"), MONDAY, MONDAY + DAY_S, step_s=700)
    reader.close()
    store.close()


def test_kinds_that_are_kept_differently_are_never_put_together(store: SketchStore, path: Path) -> None:
    store.put([period(0, TOOK, (5.0, 7.0))])
    reader = SketchReader(path)
    found = reader.ask(Wish(kind="latency"), 0, MONDAY + DAY_S).sketch
    assert isinstance(found, LatencyHistogram)
    assert found.sum_ms == 12.0
    with pytest.raises(Misuse, match="latency histogram"):
        reader.digest(Wish(kind="latency"), 0, MONDAY + DAY_S)
    reader.close()
    store.close()


def test_old_periods_go_before_their_days_and_days_in_the_end(path: Path) -> None:
    store = SketchStore(path, SketchSettings(keep_days=2, keep_rollup_days=5))
    store.put([period(i * 144 + 3) for i in range(8)])
    now = MONDAY + 8 * DAY_S
    store.roll_up(now)
    assert store.tidy(now) == 6 + 3
    reader = SketchReader(path)
    assert reader.ask(Wish(kind="score"), 0, now).sketches == 5
    assert reader.ask(Wish(kind="score"), 0, now, rolled_up=False).sketches == 2
    reader.close()
    store.close()


def test_a_combination_of_which_nothing_is_left_is_forgotten(path: Path) -> None:
    store = SketchStore(path, SketchSettings(keep_days=2, keep_rollup_days=2))
    store.put([period(0, JAY), period(144 * 9, HEN)])
    store.tidy(MONDAY + 10 * DAY_S)
    reader = SketchReader(path)
    assert reader.combinations() == [HEN]
    reader.close()
    store.put([period(144 * 9, JAY)])
    assert count(path, Wish(kind="score", label="jay")) == 1
    store.close()


def test_the_file_stays_within_its_bytes(path: Path) -> None:
    store = SketchStore(path, SketchSettings(store_bytes=1_000_000))
    rng = np.random.default_rng(2)
    sketch = TDigest.of(rng.random(5000))
    for day in range(25):
        store.put([Closed(MONDAY + day * DAY_S + i * PERIOD_S, HEN, sketch) for i in range(144)])
        store.roll_up(MONDAY + (day + 1) * DAY_S)
        store.tidy(MONDAY + (day + 1) * DAY_S)
    assert store.size() <= 1_000_000
    store.close()
    assert path.stat().st_size <= 1_300_000
    reader = SketchReader(path)
    assert reader.ask(Wish(kind="score"), 0, MONDAY + 25 * DAY_S).sketches == 25  # days are left of all of it
    reader.close()


def test_combinations_beyond_the_bound_are_counted_together(path: Path) -> None:
    store = SketchStore(path, SketchSettings(max_combinations=3))
    many = [qualifiers("henhouse", "score", model="champion", tags={"user": str(i)}) for i in range(10)]
    store.put([period(0, one) for one in many])
    assert count(path, Wish(kind="score")) == 10
    assert count(path, Wish(kind="score", model=OTHER)) == 7
    store.close()


def test_a_transaction_that_fails_leaves_nothing_and_can_be_tried_again(store: SketchStore, path: Path) -> None:
    class Unwritable(TDigest):
        def parts(self) -> object:  # type: ignore[override]  # it is to fail
            raise MemoryError

    with pytest.raises(MemoryError):
        store.put([period(0, JAY), Closed(MONDAY, HEN, Unwritable())])
    assert count(path, Wish(kind="score")) == 0
    store.put([period(0, JAY), period(0, HEN)])
    assert count(path, Wish(kind="score", label="jay")) == 1
    store.close()


def test_a_file_that_is_none_is_set_aside_and_begun_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1000)
    store = SketchStore(path)
    store.put([period(0)])
    assert count(path, Wish(kind="score")) == 1
    assert path.with_suffix(".damaged").read_bytes().startswith(b"no database")
    store.close()


def test_a_file_that_is_damaged_while_in_use_is_set_aside_and_what_was_put_is_kept(path: Path) -> None:
    store = SketchStore(path)
    store.put([period(i, HEN, tuple(np.random.default_rng(i).random(300))) for i in range(300)])
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    store = SketchStore(path)
    before = store.set_aside
    store.put([period(301, HEN)])
    store.roll_up(MONDAY + 9 * DAY_S)
    assert (store.set_aside > before) or path.with_suffix(".damaged").exists()
    store.put([period(302, HEN)])
    assert count(path, Wish(kind="score"), MONDAY + 302 * PERIOD_S) == 1
    store.close()


def test_an_altered_row_is_left_out_and_counted(store: SketchStore, path: Path) -> None:
    store.put([period(0, HEN, (0.1, 0.2)), period(1, HEN, (0.3,))])
    with sqlite3.connect(path) as db:
        (body,) = db.execute("SELECT body FROM periods WHERE start = ?", (MONDAY,)).fetchone()
        altered = bytearray(body)
        altered[30] ^= 4
        db.execute("UPDATE periods SET body = ? WHERE start = ?", (bytes(altered), MONDAY))
    db.close()
    reader = SketchReader(path)
    found = reader.ask(Wish(kind="score"), 0, MONDAY + DAY_S)
    assert (found.sketches, found.unreadable) == (1, 1)
    reader.close()
    store.put([period(0, HEN, (0.5,))])
    assert store.unreadable == 1
    assert count(path, Wish(kind="score")) == 2
    store.close()


def test_a_reader_without_a_file_is_told_where_sketches_come_from(path: Path) -> None:
    with pytest.raises(PeerError, match="monitor"):
        SketchReader(path)


def test_a_reader_of_a_damaged_file_is_told_so(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(PeerError, match="cannot be read"):
        SketchReader(path)


@pytest.mark.parametrize("bad", [{"keep_days": 1}, {"store_bytes": 5}, {"max_combinations": 0}])
def test_bounds_that_cannot_be_are_refused_when_made(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="use a value from"):
        SketchSettings(**bad)
