"""The engine: nothing happens while nothing changes; what changes is seen; a restart loses nothing."""

import numpy as np
import pytest

from roost_rendezvous.analytics.shapes.evidence import ALONE, HIGHEST, Evidence, ordered, single


def fed(cells: list[int], sets: int = 4) -> Evidence:
    evidence = Evidence(ordered(sets))
    for cell in cells:
        evidence.handle(cell)
    return evidence


def test_a_constant_stream_is_never_surprising_however_long_it_is() -> None:
    assert fed([0] * 3000, 2).surprise < 0.5


def test_independent_cells_that_do_not_change_stay_below_the_level_for_a_single_stream() -> None:
    rng = np.random.default_rng(5)
    reached = []
    for _ in range(10):
        evidence = Evidence(ordered(10))
        highest = 0.0
        for cell in rng.integers(0, 10, 200).tolist():
            evidence.handle(cell)
            highest = max(highest, evidence.surprise)
        reached.append(highest)
    assert max(reached) < ALONE
    assert np.median(reached) > 0.2  # it does look


def test_a_cell_that_stops_is_found_and_named() -> None:
    rng = np.random.default_rng(1)
    evidence = fed(rng.integers(0, 4, 400).tolist() + rng.integers(0, 3, 60).tolist())
    at, more = evidence.foremost()
    assert evidence.surprise > ALONE
    assert not more or at != 3
    assert evidence.now(3) == 0.0
    assert evidence.usual(3) == pytest.approx(100 / 460, abs=0.04)


def test_a_cell_never_seen_before_is_found_within_a_handful() -> None:
    evidence = fed([0, 1] * 150, 3)
    for _ in range(4):
        evidence.handle(2)
    assert evidence.surprise > ALONE
    assert evidence.foremost() == (2, True)


def test_evidence_goes_away_when_the_stream_comes_back() -> None:
    rng = np.random.default_rng(2)
    evidence = fed(rng.integers(0, 4, 500).tolist() + [3] * 30)
    assert evidence.surprise > ALONE
    for cell in rng.integers(0, 4, 800).tolist():
        evidence.handle(cell)
    assert evidence.surprise < ALONE
    assert 10**evidence.surprise < HIGHEST


def test_clumping_is_measured_and_spares_false_alarms() -> None:
    rng = np.random.default_rng(3)
    stays = np.repeat(rng.integers(0, 4, 150), 12).tolist()  # each cell comes twelve times running
    evidence = fed(stays)
    alone = fed(rng.permutation(stays).tolist())
    assert evidence.clumping > 6
    assert alone.clumping < 1.3
    assert evidence.surprise < ALONE


def test_history_fades_so_that_counts_stay_bounded() -> None:
    evidence = Evidence(single(2), memory=500)
    for nth in range(3000):
        evidence.handle(nth % 2)
    assert evidence.total <= 520


def test_a_restored_evidence_goes_on_as_if_nothing_had_been() -> None:
    rng = np.random.default_rng(4)
    cells = rng.integers(0, 4, 700).tolist()
    whole, before = fed(cells), fed(cells[:350])
    after = Evidence(ordered(4))
    after.restore(before.snapshot())
    for cell in cells[350:]:
        after.handle(cell)
    assert after.surprise == pytest.approx(whole.surprise, rel=0.001, abs=0.001)
    assert after.counts.tolist() == whole.counts.tolist()


def test_a_snapshot_of_other_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="other cells"):
        Evidence(ordered(5)).restore(fed([0]).snapshot())


@pytest.mark.parametrize("memory", [0, 399])
def test_a_memory_too_short_is_refused(memory: int) -> None:
    with pytest.raises(ValueError, match="too short"):
        Evidence(single(3), memory=memory)
