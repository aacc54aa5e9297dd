"""Observations weighed together give what each weighed alone would have given."""

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_by_one import OneByOne

from roost_rendezvous.analytics.shapes.evidence import HIGHEST, WAITING, Evidence, ordered, single

CELLS = 5


def stretch(kind: str, cells: Sequence[int], length: int, seed: int) -> list[int]:
    """Part of a stream: one cell all the time (it clumps), cells in turn (it does not), or by chance."""
    if kind == "run":
        return [cells[0]] * length
    if kind == "turns":
        return list(islice(cycle(cells), length))
    drawn: list[int] = np.random.default_rng(seed).choice(cells, length).tolist()
    return drawn


stretches = st.builds(
    stretch,
    st.sampled_from(["run", "turns", "chance"]),
    st.lists(st.integers(0, CELLS - 1), min_size=1, max_size=CELLS),
    st.integers(1, 250),
    st.integers(0, 1000),
)


def same(evidence: Evidence, plain: OneByOne) -> None:
    assert evidence.surprise == pytest.approx(plain.surprise, rel=1e-9, abs=1e-9)
    assert evidence.counts.tolist() == pytest.approx(plain.counts.tolist())
    assert evidence.total == pytest.approx(plain.total)
    assert evidence.clumping == pytest.approx(plain.clumping)
    assert evidence.recent == len(plain.recent)
    at, _ = evidence.foremost()
    assert plain.loudness(at) == pytest.approx(1.0)
    assert evidence.usual(at) == pytest.approx(float(plain.counts @ plain.sets[:, at]) / max(1.0, plain.total))
    newest = float(np.mean(plain.sets[plain.recent, at])) if plain.recent else 0.0
    assert evidence.now(at) == pytest.approx(newest)


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(stretches, min_size=1, max_size=4),
    every=st.integers(1, 3 * WAITING),
    start=st.lists(st.sampled_from([0.0, 3.0, 60.0, 150.0, 900.0]), min_size=CELLS, max_size=CELLS),
    memory=st.sampled_from([400, 700, 100_000]),
    alone=st.booleans(),
)
def test_whenever_somebody_asks_the_answer_is_that_of_one_by_one(
    parts: list[list[int]], every: int, start: list[float], memory: int, alone: bool
) -> None:
    sets = single(CELLS) if alone else ordered(CELLS)
    evidence, plain = Evidence(sets, start, memory=memory), OneByOne(sets, start, memory)
    for nth, cell in enumerate(cell for part in parts for cell in part):
        evidence.handle(cell)
        plain.handle(cell)
        if nth % every == 0:
            same(evidence, plain)
    same(evidence, plain)


def test_evidence_beyond_the_bound_is_cut_at_the_same_moments() -> None:
    evidence, plain = Evidence(ordered(CELLS)), OneByOne(ordered(CELLS), [0.0] * CELLS, 100_000)
    for cell in [
        *stretch("turns", (0, 1, 2), 500, 0),
        *stretch("turns", (3, 4), 150, 0),
        *stretch("turns", (0, 1), 90, 0),
    ]:
        evidence.handle(cell)
        plain.handle(cell)
    assert plain.highest > HIGHEST * 1e6
    same(evidence, plain)


def test_a_restart_among_waiting_observations_loses_none() -> None:
    cells = stretch("chance", range(CELLS), 300, 7)
    evidence, plain = Evidence(ordered(CELLS)), OneByOne(ordered(CELLS), [0.0] * CELLS, 100_000)
    for nth, cell in enumerate(cells):
        evidence.handle(cell)
        plain.handle(cell)
        if nth == WAITING + 7:
            kept = evidence.snapshot()
            evidence = Evidence(ordered(CELLS))
            evidence.restore(kept)
    assert evidence.surprise == pytest.approx(plain.surprise, rel=1e-4)
    assert evidence.counts.tolist() == plain.counts.tolist()
    assert evidence.recent == len(plain.recent)
