"""Collinearity on planted tables: copies, disguised copies, sums; and nothing where nothing is."""

import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.features.collinear import CollinearSettings, collinearity
from roost_rendezvous.analytics.features.values import Value


def table(count: int = 400, seed: int = 1) -> list[dict[str, Value]]:
    draw = np.random.default_rng(seed)
    found: list[dict[str, Value]] = []
    for number in range(count):
        a, b, c = (float(x) for x in draw.normal(size=3))
        word = "open" if draw.random() < 0.3 else "shut"
        found.append(
            {
                "a": a,
                "copy": 3 * a + 2 + 0.1 * float(draw.normal()),
                "b": b,
                "c": c,
                "sum": a + b + c + 0.2 * float(draw.normal()),
                "bent": float(np.exp(3 * b)),
                "door": word,
                "switch": word == "open",
                "always": 1,
                "id": f"{number:08x}",
            }
        )
    return found


def test_planted_pairs_are_found_and_no_others() -> None:
    report = collinearity(table())
    assert {frozenset((pair.one, pair.other)) for pair in report.pairs} == {
        frozenset(("a", "copy")),
        frozenset(("b", "bent")),
        frozenset(("door=shut", "switch")),
    }
    assert report.constant == ("always",)
    assert report.not_judged == ("id",)


def test_a_bent_copy_shows_by_its_ranks() -> None:
    bent = next(pair for pair in collinearity(table()).pairs if "bent" in (pair.one, pair.other))
    assert abs(bent.r) < 0.9
    assert bent.rank_r == pytest.approx(1.0)


def test_a_sum_of_others_is_explained_though_it_is_no_pair() -> None:
    rows = [{name: row[name] for name in ("a", "b", "c", "sum")} for row in table()]
    report = collinearity(rows)
    assert not report.pairs
    assert {one.column for one in report.explained} == {"a", "b", "c", "sum"}, "each follows from the other three"
    assert next(one for one in report.explained if one.column == "sum").share > 0.95


def test_groups_hang_together_by_their_variables() -> None:
    assert collinearity(table()).groups == (("a", "copy"), ("b", "bent"), ("door", "switch"))


def test_a_hundred_tables_of_noise_have_no_pair() -> None:
    draw = np.random.default_rng(5)
    for _ in range(100):
        values = draw.normal(size=(60, 8))
        report = collinearity([{f"v{place}": float(x) for place, x in enumerate(row)} for row in values])
        assert report.pairs == () == report.explained


def test_r_is_that_of_numpy_where_nothing_is_missing() -> None:
    rows = table(200)
    report = collinearity(rows, CollinearSettings(least_r=0.01))
    expected = np.corrcoef([float(row["a"] or 0) for row in rows], [float(row["sum"] or 0) for row in rows])[0, 1]
    found = next(pair for pair in report.pairs if {pair.one, pair.other} == {"a", "sum"})
    assert found.r == pytest.approx(expected, abs=1e-6)


def test_missing_values_are_left_out_pair_by_pair() -> None:
    rows = table(600)
    for number, row in enumerate(rows):
        if number % 3:
            row["copy"] = None
        if number % 2:
            del row["a"]
    pair = next(pair for pair in collinearity(rows).pairs if {pair.one, pair.other} == {"a", "copy"})
    assert pair.rows == 100
    assert pair.r > 0.99


def test_large_offsets_do_not_drown_a_relation() -> None:
    draw = np.random.default_rng(7)
    noise = draw.normal(size=300)
    rows = [{"epoch": 1.8e18 + 1e6 * float(x), "small": 1e-9 * float(x)} for x in noise]
    assert collinearity(rows).pairs[0].r == pytest.approx(1, abs=1e-4)


def test_too_few_rows_claim_nothing() -> None:
    assert collinearity([{"a": 1, "b": 1}, {"a": 2, "b": 2}]).pairs == ()
    assert collinearity([]).pairs == ()
    with pytest.raises(Misuse, match="least_r"):
        CollinearSettings(least_r=0)
