"""The book's cascade (promises C1, C2; goal G15) and a chain of stages (promise E15)."""

import numpy as np
import pytest
from made_rows import row, said

from roost_rendezvous.analytics.comparison.cascades import Flags, effect, exchange
from roost_rendezvous.analytics.comparison.chains import Stage, chain
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.comparison.suspects import Change, Seen, suspects


def frauds(count: int, seed: int = 1) -> dict[str, Flags]:
    """Red and blue ones, equally common. A: 80 % of red; B: 80 % of blue; A': all of blue and 40 % of red."""
    random = np.random.default_rng(seed)
    red = random.random(count) < 0.5
    chance = {"A": np.where(red, 0.8, 0), "B": np.where(red, 0, 0.8), "A'": np.where(red, 0.4, 1.0)}
    return {name: random.random(count) < one for name, one in chance.items()}


def test_the_books_cascade_comes_out_and_the_better_model_is_not_promoted() -> None:
    found = exchange(["A", "B"], "A", "A'", frauds(100_000))
    assert found.before.links[0].alone == pytest.approx(0.4, abs=0.005)
    assert found.before.whole == pytest.approx(0.8, abs=0.005)
    assert found.after.links[0].alone == pytest.approx(0.7, abs=0.005)
    assert found.after.whole == pytest.approx(0.7, abs=0.005)
    assert found.before.adds("B") == pytest.approx(0.4, abs=0.005)
    assert found.after.adds("B") == 0
    assert found.advice == "do not promote"
    said = found.sentence
    assert said == "A' alone finds 69.8 % (A: 40.1 %), but the whole finds 69.8 % (now: 80 %); B adds 0 % (now: 40 %)"


def test_a_change_that_helps_the_whole_is_promoted_and_one_that_changes_nothing_is_neither() -> None:
    flags = frauds(20_000)
    flags["A+"] = flags["A"] | (np.random.default_rng(3).random(20_000) < 0.05)
    assert exchange(["A", "B"], "A", "A+", flags).advice == "promote"
    flags["A="] = flags["A"].copy()
    assert exchange(["A", "B"], "A", "A=", flags).advice == "no difference seen"
    with pytest.raises(ValueError, match="none"):
        effect(["A"], {"A": np.zeros(0, dtype=bool)})


def observed(seed: int, *, all_asked: bool) -> tuple[Seen, list[Change]]:
    """4,000 frauds; somewhere A becomes A'; B was rolled out anew, unchanged, and other things happened meanwhile."""
    random = np.random.default_rng(seed)
    flags = frauds(4_000, seed=seed)
    at = np.arange(4_000)
    changed, *others = (int(one) for one in random.choice(np.arange(600, 3_400), 4, replace=False))
    first = np.where(at < changed, flags["A"], flags["A'"]).astype(float)
    second = flags["B"].astype(float)
    if not all_asked:
        second = np.where(first == 1, np.nan, second)
    changes = [Change(at=changed, of="A", what="2"), Change(at=others[0], of="B", what="same again")]
    changes += [Change(at=others[1], of="camera"), Change(at=others[2], of="schedule")]
    return Seen(at=at, stages=("A", "B"), marked={"A": first, "B": second}), changes


@pytest.mark.parametrize("all_asked", [True, False])
def test_the_drop_of_b_is_blamed_on_the_change_of_a(all_asked: bool) -> None:
    first = [suspects(*observed(seed, all_asked=all_asked))[0].change.of for seed in range(40)]
    assert first.count("A") >= 38


def test_a_change_of_b_itself_is_blamed_on_b() -> None:
    flags = frauds(4_000)
    at = np.arange(4_000)
    second = np.where(at < 2_000, flags["B"], False).astype(float)
    second[flags["A"]] = np.nan
    seen = Seen(at=at, stages=("A", "B"), marked={"A": flags["A"].astype(float), "B": second})
    found = suspects(seen, [Change(at=1_500, of="A"), Change(at=2_000, of="B", what="3")])
    assert found[0].change.of == "B"
    assert "since then 4" in found[0].sentence
    assert found[0].evidence > 10 > suspects(seen, [Change(at=5, of="camera")])[0].evidence


def test_differences_are_followed_down_three_stages() -> None:
    stages = [
        Stage(name=name, production=Choice(model=f"{name}-now"), replica=Choice(model=f"{name}-new"))
        for name in ("find", "name", "count")
    ]
    rows = []
    for number in range(100):
        begun, handed, new = number < 20, number < 15, number == 99
        apart = {"find": begun, "name": handed, "count": handed or new}
        words = [
            said(f"{name}-{which}", **{"y" if differs and which == "new" else "x": 1.0})
            for name, differs in apart.items()
            for which in ("now", "new")
        ]
        rows.append(row(number, *words[: 5 if number == 50 else 6]))
    find, name, count = chain([*rows, row(200, said("somebody-else", x=1))], stages)
    assert (find.share, find.begun, find.handed_down, find.missing) == (0.2, 20, 0, 0)
    assert (name.share, name.begun, name.handed_down, name.swallowed) == (0.15, 0, 15, 5)
    assert (count.compared, count.begun, count.handed_down, count.missing) == (99, 1, 15, 1)
    assert find.low < 0.2 < find.high
