"""A task's rows: streams without configuration, each with its subject, bounded and kept over a restart."""

import json
from collections.abc import Iterable

import numpy as np
import pytest
from shape_scenes import LABELS, MINUTE, henhouse

from roost_rendezvous.analytics.reading import Reading
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.shapes.bands import Bands
from roost_rendezvous.analytics.shapes.evidence import ALONE
from roost_rendezvous.analytics.shapes.settings import ShapeSettings
from roost_rendezvous.analytics.shapes.watching import ShapesWatch


def fed(rows: Iterable[Row], settings: ShapeSettings | None = None) -> ShapesWatch:
    watch = ShapesWatch("nest", settings, canaries=["canary"])
    for row in rows:
        watch.handle(row)
    return watch


def strange(watch: ShapesWatch, level: float = ALONE + 1) -> list[Reading]:
    return [reading for reading in watch.tick(1) if (reading.surprise or 0.0) >= level]


def plain(count: int, *, start: int = 0, seed: int = 0, drop: float = 0.0, imported: float = 0.0) -> list[Row]:
    rng = np.random.default_rng(seed)
    rows = []
    for nth in range(start, start + count):
        given: dict[str, float | str | bool] = {"frame.bytes": float(rng.normal(48_000, 3_000)), "lens": "wide"}
        if rng.random() < drop:
            del given["lens"]
        state = {"leads": float(rng.normal(imported, 1.0)), "door": bool(rng.random() < 0.3)}
        tags = {"camera": "nest"}
        rows.append(Row(request_id=str(nth), task="nest", at=nth * MINUTE, tags=tags, input=given, state=state))
    return rows


def test_seven_labels_are_seven_streams_for_each_model_without_configuration() -> None:
    signals = [reading.signal for reading in fed(henhouse(1, 40)).tick(0)]
    for model, subject in (("champion", "model"), ("canary", "canary")):
        mine = {s.part for s in signals if s.kind == "score" and s.of == model and s.subject == subject}
        assert set(LABELS) <= mine
    assert {s.kind for s in signals} >= {"score", "shape", "agreement"}


def test_a_swapped_model_moves_the_model_and_not_the_canary() -> None:
    moved = {reading.signal.subject for reading in strange(fed(henhouse(2, 220, swap_at=150)))}
    assert moved == {"model"}


def test_other_birds_move_the_model_and_the_canary() -> None:
    moved = {reading.signal.subject for reading in strange(fed(henhouse(3, 220, shift_at=150)))}
    assert moved >= {"model", "canary"}


def test_nothing_moves_while_nothing_changes() -> None:
    assert strange(fed(henhouse(4, 220))) == []


def test_a_field_missing_from_every_request_is_found_within_three() -> None:
    watch = fed(plain(200) + plain(3, start=200, drop=1.0))
    assert [reading.signal.name for reading in strange(watch)] == ["nest/missing/lens"]


def test_what_is_called_missing_tells_the_share_that_is_missing() -> None:
    """Figures and sentence are of what the name says, while the field is there as ever and after it has gone."""

    def told(rows: list[Row]) -> Reading:
        found = fed(rows).tick(1)
        return next(reading for reading in found if reading.signal.name == "nest/missing/lens")

    there, gone = told(plain(200)), told(plain(200) + plain(60, start=200, drop=1.0))
    assert (there.normal, there.now) == (0.0, 0.0)
    assert gone.now == 1.0
    assert gone.normal is not None
    assert gone.normal < 0.3
    assert gone.sentence.startswith("the input lens was missing in")


def test_a_field_missing_from_a_tenth_of_the_requests_is_found_within_a_hundred() -> None:
    watch = fed(plain(300))
    named: set[str] = set()
    for row in plain(100, start=300, seed=1, drop=0.1):
        watch.handle(row)
        named |= {reading.signal.name for reading in strange(watch, ALONE)}
    assert named == {"nest/missing/lens"}


def test_an_imported_stream_that_changes_is_named() -> None:
    watch = fed(plain(200) + plain(60, start=200, seed=1, imported=2.0))
    (found,) = strange(watch)
    assert (found.signal.subject, found.signal.of) == ("state", "leads")
    assert found.sentence.startswith("the state leads was ")


def test_what_a_camera_gives_belongs_to_the_camera() -> None:
    signals = {(r.signal.subject, r.signal.of, r.signal.part) for r in fed(plain(40)).tick(0)}
    assert ("camera", "nest", "frame.bytes") in signals
    assert ("input", "lens", "") in signals


def test_every_step_of_every_model_is_a_stream() -> None:
    word = Word(model="champion", scores={"hen": 0.9}, compute_ms=20.0, elapsed_ms=25.0)
    rows = [Row(request_id=str(n), task="nest", at=n, words=(word,), elapsed_ms=26.0) for n in range(3)]
    parts = {(r.signal.of, r.signal.part) for r in fed(rows).tick(0) if r.signal.kind == "latency"}
    assert parts == {("champion", "answer"), ("champion", "compute"), ("champion", "wait"), ("", "official answer")}


def test_agreement_has_an_exact_interval_and_its_own_history() -> None:
    watch = fed(henhouse(5, 100))
    (agreement,) = [r for r in watch.tick(0) if r.signal.kind == "agreement" and r.signal.part == "canary"]
    assert agreement.normal is not None
    assert agreement.normal > 0.9
    assert "% to 100%) of the newest 50" in agreement.sentence


def test_a_label_named_late_scored_nothing_before() -> None:
    early = [Word(model="m", scores={"hen": 0.9})] * 100
    late = [Word(model="m", scores={"hen": 0.1, "jay": 0.9})] * 4
    rows = [Row(request_id=str(n), task="nest", at=n, words=(w,)) for n, w in enumerate(early + late)]
    assert "nest/score/m/jay" in [reading.signal.name for reading in strange(fed(rows))]


def test_streams_beyond_the_bound_are_left_out_and_counted() -> None:
    watch = fed(henhouse(6, 5), ShapeSettings(most_streams=4))
    assert len(watch) == 4
    assert watch.left_out > 0


def test_rows_of_another_task_are_not_its_business() -> None:
    watch = ShapesWatch("door")
    for row in henhouse(7, 5):
        watch.handle(row)
    assert len(watch) == 0


def test_a_model_known_as_the_canary_later_keeps_its_history() -> None:
    watch = ShapesWatch("nest")
    for row in henhouse(8, 60):
        watch.handle(row)
    assert not any(reading.signal.subject == "canary" for reading in watch.tick(0))
    watch.know(["canary"])
    mine = [r for r in watch.tick(0) if r.signal.subject == "canary" and r.signal.part == "egg"]
    assert [reading.why_not for reading in mine] == [""]


def test_a_stream_that_nothing_came_to_says_the_same_and_is_not_asked_again() -> None:
    watch = fed(henhouse(8, 60))
    before = {reading.signal: reading for reading in watch.tick(1)}
    word = Word(model="champion", elapsed_ms=20.0)
    watch.handle(Row(request_id="60", task="nest", at=60 * MINUTE, words=(word,)))
    after = {reading.signal: reading for reading in watch.tick(2)}
    (fresh,) = after.keys() - before.keys()
    assert fresh.name == "nest/latency/champion/answer"
    assert all(after[signal] is reading for signal, reading in before.items())


def test_a_version_that_was_heard_of_is_asked_again_and_a_moved_band_asks_all() -> None:
    bands = Bands("nest", "canary", pairs=50)
    for model in ("one", "other"):
        for _ in range(48):
            bands.handle(model, "1", True)
    first = list(bands.tick(1))
    assert list(bands.tick(2)) == first
    bands.handle("one", "1", True)
    assert [reading.at for reading in bands.tick(3)] == [1, 3]
    bands.handle("one", "1", True)  # a record: the band of the others has moved
    assert [reading.at for reading in bands.tick(4)] == [4]


def test_a_new_normal_is_learnt_for_the_signal_acknowledged_and_no_other() -> None:
    watch = fed(henhouse(9, 220, swap_at=150))
    signal = strange(watch)[0].signal
    known = sum(reading.surprise is not None for reading in watch.tick(0))
    assert watch.relearn(signal)
    assert sum(reading.surprise is not None for reading in watch.tick(0)) == known - 1
    assert not watch.relearn(signal.__class__(task="nest", kind="score", subject="model", of="nobody"))


def test_a_restart_loses_nothing() -> None:
    rows = [
        Row(request_id=a.request_id, task="nest", at=a.at, words=a.words, tags=b.tags, input=b.input, state=b.state)
        for a, b in zip(henhouse(10, 260, swap_at=200), plain(260), strict=True)
    ]
    whole, before = fed(rows), fed(rows[:230])
    after = ShapesWatch("nest", canaries=["canary"])
    after.restore(json.loads(json.dumps(before.snapshot())))
    for row in rows[230:]:
        after.handle(row)
    for one, other in zip(whole.tick(9), after.tick(9), strict=True):
        assert one.signal == other.signal
        assert (other.surprise or 0.0) == pytest.approx(one.surprise or 0.0, rel=0.01, abs=0.01)
        assert one.why_not == other.why_not


def test_a_new_model_is_measured_against_what_others_had_with_the_canary() -> None:
    rng = np.random.default_rng(1)
    bands = Bands("nest", "canary", pairs=50)
    for version in ("1", "2", "3"):
        for agrees in rng.random(250) < 0.9:
            bands.handle("champion", version, bool(agrees))
    for agrees in rng.random(49) < 0.5:
        bands.handle("challenger", "4", bool(agrees))
    for agrees in rng.random(49) < 0.9:
        bands.handle("champion", "5", bool(agrees))
    said = {reading.signal.of: reading for reading in bands.tick(0)}
    assert (said["challenger 4"].surprise or 0.0) > ALONE
    assert (said["champion 5"].surprise or 0.0) < 2
    assert "others did in " in said["challenger 4"].sentence


def test_without_experience_there_is_no_band() -> None:
    bands = Bands("nest", "canary")
    bands.handle("champion", "1", True)
    (reading,) = bands.tick(0)
    assert reading.surprise is None
    assert reading.why_not == "not enough history: 0 of 10 records of other models and canary"


@pytest.mark.parametrize("settings", [{"least": 1}, {"memory": 100}, {"least_vectors": 5}, {"most_streams": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        ShapeSettings(**settings)
