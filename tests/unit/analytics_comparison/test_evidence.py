"""Surrogates, cohorts, exploration, canary bands, a model over time, the advice (E5, E12, E14, E16, K5, M9, L5)."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from made_rows import row, said

from roost_broker.errors import Misuse
from roost_broker.shares import in_share
from roost_rendezvous.analytics.comparison.canary_bands import CanaryBands, Kept
from roost_rendezvous.analytics.comparison.cohorts import between, interaction
from roost_rendezvous.analytics.comparison.exploration import Step, off_policy, right, sticky
from roost_rendezvous.analytics.comparison.recommending import Evidence, recommend
from roost_rendezvous.analytics.comparison.standing import DAY_NS, Days, difference
from roost_rendezvous.analytics.comparison.surrogates import Surrogate, measured
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.sketches.digest import TDigest


def answers(count: int, seed: int) -> list[tuple[float, float]]:
    """Answered within two hours, answered within thirty days."""
    random = np.random.default_rng(seed)
    late = random.random(count) < 0.3
    early = late & (random.random(count) < 0.6)
    return [(float(a), float(b)) for a, b in zip(early, late, strict=True)]


def test_a_surrogate_is_measured_as_truths_come_and_its_estimate_says_what_it_is() -> None:
    one = Surrogate("answered in two hours", "answered in thirty days")
    first = answers(2_000, 1)
    for number, (early, _) in enumerate(first):
        one.observed(str(number), early)
    assert (one.waiting, one.correlation()) == (2_000, None)
    before = one.estimate(early for early, _ in answers(500, 2))
    assert (before.by, before.corrected) == ("surrogate", False)
    assert "not measured yet (0 of 30 pairs)" in before.caution
    for number, (_, late) in enumerate(first):
        one.came_true(str(number), late)
    known = one.correlation()
    assert known is not None
    exact = float(np.corrcoef(np.array(first).T)[0, 1])
    assert known.value == pytest.approx(exact)
    assert known.low < exact < known.high
    assert (known.pairs, one.waiting) == (2_000, 0)
    later = answers(4_000, 3)
    after = one.estimate(early for early, _ in later)
    assert (after.by, after.surrogate, after.corrected) == ("surrogate", "answered in two hours", True)
    truth = measured(late for _, late in later)
    assert truth.by == "truth"
    assert after.mean == pytest.approx(truth.mean, abs=3 * after.error)
    assert before.mean < truth.mean - 0.05  # uncorrected it is another quantity


def test_a_worthless_surrogate_is_said_to_be_one_and_what_is_kept_is_bounded() -> None:
    random = np.random.default_rng(1)
    one = Surrogate("moon", "eggs", most_open=100, most_pairs=50)
    for number in range(150):
        one.observed(str(number), float(random.random()))
    assert (one.waiting, one.forgotten) == (100, 50)
    for number in range(150):
        one.came_true(str(number), float(random.random()))
    assert one.unmatched == 50
    found = one.estimate([0.1, 0.9])
    assert "moon says little of eggs" in found.caution
    assert found.correlation is not None
    assert found.correlation.pairs == 50
    kept = msgspec.json.decode(msgspec.json.encode(one.snapshot()))
    assert Surrogate.restore(kept, most_open=100, most_pairs=50).estimate([0.1, 0.9]) == found


def test_groups_are_compared_from_merged_sketches_alone() -> None:
    random = np.random.default_rng(5)
    parts = {
        name: [TDigest.of(random.normal(shift, 1, 2_000)) for _ in range(6)] for name, shift in (("a", 0), ("b", 0.2))
    }
    groups = {name: TDigest.merged(digests) for name, digests in parts.items()}
    groups["again"] = TDigest.merged([TDigest.of(random.normal(0, 1, 12_000))])
    found = {(one.one, one.other): one for one in between({**groups, "empty": TDigest()})}
    assert set(found) == {("a", "again"), ("a", "b"), ("again", "b")}
    apart = found["a", "b"]
    assert apart.furthest == pytest.approx(0.0797, abs=0.02)  # 2Φ(0.1) - 1
    assert apart.p_value < 1e-6 < 0.01 < found["a", "again"].p_value
    assert apart.median_other - apart.median_one == pytest.approx(0.2, abs=0.05)


def test_two_choices_that_act_together_are_told_from_two_that_do_not() -> None:
    random = np.random.default_rng(6)

    def cell(share: float) -> TDigest:
        return TDigest.of((random.random(8_000) < share).astype(float) + 0.01 * random.random(8_000))

    together = interaction(cell(0.2), cell(0.25), cell(0.2), cell(0.35), 0.5)
    assert together is not None
    assert together.found
    assert together.difference == pytest.approx(0.10, abs=0.03)
    apart = interaction(cell(0.2), cell(0.25), cell(0.3), cell(0.35), 0.5)
    assert apart is not None
    assert not apart.found
    assert interaction(cell(0.2), TDigest(), cell(0.3), cell(0.35), 0.5) is None


def roll_out(users: int, steps: list[Step], *, shaky: bool) -> list[Row]:
    rows = []
    for number, step in enumerate(steps):
        for user in range(users):
            salt = f"new{number}" if shaky else "new"
            name = "new" if in_share(salt, f"u{user}", step.share) else "old"
            rows.append(row(0, at=step.at + user, tags={"user": f"u{user}"}, answered_by=name, cause="preferred"))
    return rows


def test_nested_hashing_keeps_its_share_and_nobody_loses_the_new_model() -> None:
    steps = [Step(at=1_000_000 * (number + 1), share=share) for number, share in enumerate((0.01, 0.1, 0.5, 1.0))]
    rows = [*roll_out(4_000, steps, shaky=False), row(1, at=5_000_000, tags={"user": "u1"}, cause="fallback")]
    found = sticky(rows, "new", "user", steps)
    assert [one.as_planned for one in found.steps] == [True] * 4
    assert (found.switched_back, found.mixed, found.left_out) == (0, 0, 1)
    assert [one.served for one in found.steps] == sorted(one.served for one in found.steps)
    shaky = sticky(roll_out(4_000, steps, shaky=True), "new", "user", steps)
    assert shaky.switched_back > 100
    assert (
        not sticky(roll_out(4_000, [steps[1]], shaky=False), "new", "user", [Step(at=0, share=0.2)]).steps[0].as_planned
    )
    with pytest.raises(Misuse, match="only grow"):
        sticky([], "new", "user", steps[::-1])


def drawn_by_lot(count: int) -> list[Row]:
    """`bold` is right in 7 of 10, `shy` in 5 of 10; bold is drawn in a fifth of the requests, rarer on hard ones."""
    random = np.random.default_rng(7)
    rows = []
    for number in range(count):
        hard = number % 2 == 0
        chance = 0.1 if hard else 0.3
        bold = random.random() < chance
        right_ = random.random() < ((0.6 if hard else 0.8) if bold else 0.5)
        rows.append(
            row(
                number,
                answered_by="bold" if bold else "shy",
                cause="preferred",
                propensity=chance if bold else 1 - chance,
                label="hen" if right_ else "egg",
                truth="hen",
            )
        )
    return rows


def test_propensities_tell_what_always_choosing_a_model_would_have_brought() -> None:
    rows = [
        *drawn_by_lot(20_000),
        row(1, answered_by="shy", cause="fallback", propensity=0.5, label="hen", truth="hen"),
    ]
    bold, shy = off_policy(rows, "bold", right), off_policy(rows, "shy", right)
    assert bold is not None
    assert shy is not None
    assert bold.value == pytest.approx(0.7, abs=3 * bold.error)
    assert shy.value == pytest.approx(0.5, abs=3 * shy.error)
    assert 0.005 < bold.error < 0.015
    assert bold.unnormalised == pytest.approx(bold.value, abs=0.02)
    naive = np.mean([right(one) for one in rows if one.answered_by == "bold"])
    assert naive > 0.73  # what the logs say without the chances
    assert (bold.left_out, bold.least_chance, bold.of) == (1, 0.1, 20_000)
    assert bold.effective < bold.chosen
    assert off_policy(rows, "nobody", right) is None


def beside_canary(model: str, differing: float, at: int) -> Kept:
    return Kept(canary="canary", model=model, at=at, compared=10_000, differing=differing, quantile_difference=0.01)


def test_a_new_model_outside_the_band_of_its_forerunners_is_flagged() -> None:
    bands = CanaryBands()
    for number, differing in enumerate((0.05, 0.06, 0.045, 0.055, 0.065)):
        said_ = bands.judge(beside_canary(f"hen@{number}", differing, number))
        assert (said_.why_not != "") == (number < 4)
        assert (said_.surprise is None) == (number < 4)
        bands.add(beside_canary(f"hen@{number}", differing, number))
    kept = msgspec.json.decode(msgspec.json.encode(bands.snapshot()))
    bands = CanaryBands.restore(kept)
    band = bands.band("canary")
    assert band is not None
    assert band.low < 0.05 < band.usual < 0.06 < band.high < 0.12
    usual, far, near = (beside_canary("hen@9", differing, 9) for differing in (0.052, 0.15, 0.01))
    assert [bands.outside(one) for one in (usual, far, near)] == [False, True, True]
    loud, quiet = bands.judge(far), bands.judge(usual)
    assert loud.sentence.startswith("unusual: hen@9 differs from canary in 15 %")
    assert loud.surprise is not None
    assert quiet.surprise is not None
    assert loud.surprise > 4 > 1 > quiet.surprise
    bands.add(far)
    assert bands.outside(far)  # it is not judged by itself
    assert [one.model for one in CanaryBands([usual, far], most=1).of("canary")] == ["hen@9"]


def test_equally_far_forerunners_do_not_make_a_band_narrower_than_counting_allows() -> None:
    bands = CanaryBands(beside_canary(f"hen@{number}", 0.05, number) for number in range(6))
    assert not bands.outside(beside_canary("hen@9", 0.053, 9))


def days_of(model: str, shares: list[float], *, truth: bool = True) -> list[Row]:
    rows = []
    for day, share in enumerate(shares):
        for number in range(200):
            label = "hen" if number < share * 200 else "egg"
            words = (said(model, **{label: 0.9}), said("canary", **({"hen": 0.8} if number < 160 else {"egg": 0.8})))
            rows.append(row(number, *words, at=day * DAY_NS + number, truth="hen" if truth else ""))
    return rows


def test_a_model_stands_beside_yesterday_last_month_the_canary_and_the_best() -> None:
    days = Days("canary")
    for one in [*days_of("hen", [0.95] * 30 + [0.9, 0.7]), *days_of("old", [0.97] * 31 + [0.5])]:
        days.take(one)
    found = {one.against: one for one in days.standing("hen", 31)}
    assert set(found) == {"yesterday", "last month", "canary", "best"}
    assert found["yesterday"].difference == pytest.approx(-0.2)
    assert found["yesterday"].high is not None
    assert found["yesterday"].high < 0
    assert found["last month"].then == pytest.approx(0.948, abs=0.01)
    assert found["canary"].difference == pytest.approx(-0.1)
    assert found["best"].beside.startswith("old")
    assert Days("canary", days=days.snapshot()).standing("hen", 31) == days.standing("hen", 31)
    first = {one.against: one for one in days.standing("hen", 0)}
    assert "not enough" in first["yesterday"].why_not


def test_without_truth_it_is_measured_by_the_canary_and_says_so() -> None:
    days = Days("canary")
    for one in days_of("hen", [0.8, 0.7], truth=False):
        days.take(one)
    found = {one.against: one for one in days.standing("hen", 1)}
    assert found["yesterday"].what == "as the canary"
    assert found["yesterday"].difference == pytest.approx(-0.1)
    assert found["canary"].now == pytest.approx(0.9)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    found = difference(56, 70, 48, 80)  # Newcombe 1998, table II (a), method 10
    assert [round(value, 4) for value in found] == [0.2, 0.0524, 0.3339]


GOOD = Evidence(compared=10_000, risk=0.01, upper=0.012)


@pytest.mark.parametrize(
    ("evidence", "advice", "reason"),
    [
        (GOOD, "promote", "at most 1.2 %"),
        (Evidence(compared=100, risk=0, upper=0.03), "continue", "only 100 requests"),
        (Evidence(compared=10_000, risk=0.2, upper=0.21), "continue", "too few are labelled"),
        (
            Evidence(compared=10_000, risk=0.2, upper=0.21, labelled=400, only_one=9, only_other=60),
            "promote",
            "it is better",
        ),
        (
            Evidence(compared=10_000, risk=0.2, upper=0.21, labelled=400, only_one=60, only_other=9),
            "retire",
            "it is worse",
        ),
        (
            Evidence(compared=10_000, risk=0.2, upper=0.21, labelled=400, only_one=9, only_other=9),
            "continue",
            "labels cannot",
        ),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, failed_other=0.7), "retire", "70 %"),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, failed_other=0.05), "continue", "5 %"),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, p99_one_ms=10, p99_other_ms=40), "continue", "slower"),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, beyond_other=0.9), "retire", "after the deadline"),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, whole_worse="together 70 %"), "continue", "together 70 %"),
        (Evidence(compared=9_999, risk=0.01, upper=0.012, canary="unusual"), "continue", "unusual"),
    ],
)
def test_the_advice_comes_with_its_reasons(evidence: Evidence, advice: str, reason: str) -> None:
    said_, reasons = recommend(evidence)
    assert said_ == advice
    assert reasons
    assert any(reason in one for one in reasons), reasons
    assert all(first != second for first, second in pairwise(reasons))


@pytest.mark.parametrize(
    ("took", "said_"),
    [
        (12.0, "it is about as fast: p99 12 ms against the champion's 9 ms, within the 1.5 times that count as alike"),
        (9.0, "it is no slower: p99 9 ms against the champion's 9 ms"),
        (14.0, "it is slower: p99 14 ms against the champion's 9 ms, more than the 1.5 times that count as alike"),
    ],
)
def test_speed_is_told_as_measured_with_the_tolerance_that_was_used(took: float, said_: str) -> None:
    _, reasons = recommend(Evidence(compared=10_000, risk=0.01, upper=0.012, p99_one_ms=9.0, p99_other_ms=took))
    assert said_ in reasons
