"""The digest's bytes and its interchange form."""

import math
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.wire import from_bytes, from_dict, to_bytes, to_dict

QS = np.array([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0])


def values_of(kind: str) -> tuple[np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(2)
    return {
        "ten minutes of scores": (rng.beta(2, 5, 1000), None),
        "a busy ten minutes": (rng.lognormal(size=600_000), None),
        "weights that are no whole numbers": (1e9 + rng.normal(size=50_000) * 1e-2, rng.random(50_000) + 0.1),
        "times, far from zero and close together": (1.7e9 + rng.random(50_000) * 1e-3, None),
        "tails over hundreds of orders": (np.exp(rng.normal(0, 90, 50_000)), None),
        "rounded scores": (np.round(rng.random(50_000), 3), None),
    }[kind]


KINDS = [
    "ten minutes of scores",
    "a busy ten minutes",
    "weights that are no whole numbers",
    "times, far from zero and close together",
    "tails over hundreds of orders",
    "rounded scores",
]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_few_and_give_the_same_answers(kind: str) -> None:
    values, weights = values_of(kind)
    digest = TDigest.of(values, weights)
    data = to_bytes(digest)
    again = from_bytes(data)
    assert len(data) <= 1500
    assert (again.low, again.high, len(again)) == (digest.low, digest.high, len(digest))
    assert again.count == pytest.approx(digest.count, rel=1e-6)
    # Compared by rank: what a quantile is worth in value depends on how thin the data lie there.
    assert again.cdfs(digest.quantiles(QS[1:-1])) == pytest.approx(QS[1:-1], abs=2e-3, rel=2e-2)


def test_repeated_values_stay_exact_in_bytes() -> None:
    rng = np.random.default_rng(3)
    digest = TDigest.of(np.concatenate([np.full(5000, 0.83896), rng.random(20_000)]))
    again = from_bytes(to_bytes(digest))
    below, up_to = again.shares(0.83896)
    assert up_to - below == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("values", [[], [3.0], [1.0, 1.0], [1.0, 2.0, math.nan]])
def test_small_ones_come_back_whole(values: list[float]) -> None:
    digest = TDigest.of(values)
    again = from_bytes(to_bytes(digest))
    assert to_dict(again) == to_dict(digest)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_other_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(PeerError):
        from_bytes(b"\x01" + data)


def test_altered_bytes_never_give_a_digest_that_misbehaves() -> None:
    digest = TDigest.of(np.random.default_rng(1).random(2000))
    good = to_bytes(digest)
    dice = random.Random(4)
    refused = 0
    for _ in range(400):
        bad = bytearray(good)
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        try:
            found = from_bytes(bytes(bad)).quantiles(QS)
        except PeerError:
            refused += 1
        else:
            assert np.isfinite(found).all()
    assert refused > 3


def test_cut_off_bytes_are_refused() -> None:
    good = to_bytes(TDigest.of(np.arange(1000.0)))
    for length in range(len(good)):
        with pytest.raises(PeerError):
            from_bytes(good[:length])


def test_the_interchange_form_has_the_fields_of_the_package_and_two_more() -> None:
    form = to_dict(TDigest.of([1.0, 2.0, 2.0]))
    assert form["n"] == 3
    assert form["centroids"] == [{"m": 1.0, "c": 1.0}, {"m": 2.0, "c": 2.0}]
    assert (form["min"], form["max"]) == (1.0, 2.0)
    assert {"delta", "K"} <= form.keys()


def test_a_digest_of_the_package_is_understood_and_ours_by_it() -> None:
    package = pytest.importorskip("tdigest", reason="the reference package is not installed")
    values = np.random.default_rng(5).random(3000)
    theirs = package.TDigest()
    theirs.batch_update(values)
    ours = from_dict(theirs.to_dict())
    assert ours.count == 3000
    assert ours.cdfs([0.01, 0.5, 0.99]) == pytest.approx([0.01, 0.5, 0.99], abs=0.01)
    back = package.TDigest().update_from_dict(to_dict(TDigest.of(values)))
    assert back.percentile(50) == pytest.approx(0.5, abs=0.02)
    assert back.n == 3000


def test_the_form_that_the_package_writes_is_understood_without_min_and_max() -> None:
    form = {"n": 4.0, "delta": 0.01, "K": 25, "centroids": [{"c": 1.0, "m": 1.0}, {"c": 3.0, "m": 2.0}]}
    digest = from_dict(form)
    assert (digest.count, digest.low, digest.high) == (4.0, 1.0, 2.0)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"centroids": [{"m": "x", "c": 1}]},
        {"centroids": [{"m": 1.0}]},
        {"centroids": [{"m": math.nan, "c": 1.0}]},
        {"centroids": [{"m": 1.0, "c": -1.0}]},
        {"centroids": [{"m": 1.0, "c": 1.0}], "min": 2.0},
        {"centroids": [{"m": 1.0, "c": 1.0}], "max": math.inf},
        {"centroids": [{"m": 1.0, "c": 1.0}] * 5000},
        {"centroids": 3},
    ],
)
def test_a_form_that_is_no_digest_is_refused_in_words(form: dict[str, object]) -> None:
    with pytest.raises(PeerError):
        from_dict(form)


def test_an_unknown_form_number_is_refused() -> None:
    with pytest.raises(PeerError, match="no t-digest"):
        from_bytes(struct.pack("<BBHIdd", 9, 0, 0, 0, 0.0, 0.0))
