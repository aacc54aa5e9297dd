"""What comparing measures: the risk bound, the stratified sample, the cascade and its culprit, quantiles, exploration.

Everything is simulated with fixed seeds, so that the truth is known. Beside each figure stands what the obvious simpler
way does on the same data.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from analytics_figures import GOALS, Figure

from roost_broker.shares import in_share
from roost_rendezvous.analytics.binomial import upper_limit
from roost_rendezvous.analytics.comparison import sampling
from roost_rendezvous.analytics.comparison.agreement import risk_bound
from roost_rendezvous.analytics.comparison.cascades import Flags, exchange
from roost_rendezvous.analytics.comparison.exploration import Step, off_policy, right, sticky
from roost_rendezvous.analytics.comparison.matching import tops
from roost_rendezvous.analytics.comparison.quantiles import Floats, History
from roost_rendezvous.analytics.comparison.suspects import Change, Seen, gain, suspects
from roost_rendezvous.analytics.rows import Row

_Z95 = 1.6448536269514722


def measure(quick: bool) -> list[Figure]:
    """See the module."""
    return [
        *_bound(),
        *_sample(200 if quick else 1_000),
        *_cascade(40 if quick else 100),
        _same_order(),
        _tops(),
        _hashing(),
        _exploration(100 if quick else 600),
    ]


def _bound() -> list[Figure]:
    limit = cache(upper_limit)
    found, dummy = [], []
    for of, share in ((100_000, 0.01), (20_000, 0.05), (5_000, 0.2)):
        counts = np.random.default_rng(of).binomial(of, share, 2_000)
        found.append(float(np.mean([limit(int(count), of) >= share for count in counts])))
        wald = counts / of + _Z95 * np.sqrt(counts / of * (1 - counts / of) / of)
        dummy.append(float(np.mean(wald >= share)))
    rare = np.random.default_rng(3).binomial(2_000, 0.0005, 2_000)
    exact = float(np.mean([limit(int(count), 2_000) >= 0.0005 for count in rare]))
    wald_rare = float(np.mean(rare / 2_000 + _Z95 * np.sqrt(rare / 2_000 * (1 - rare / 2_000) / 2_000) >= 0.0005))
    tenth = risk_bound(1_000, 100_000, share=0.1) == tuple(0.1 * one for one in risk_bound(1_000, 100_000))
    return [
        Figure(
            "G13 coverage",
            GOALS["G13"],
            f"{', '.join(_percent(one) for one in found)} at 1, 5, 20 % differing (2,000 simulations each)",
            all(abs(one - 0.95) <= 0.01 for one in found),
            f"normal approximation: {', '.join(_percent(one) for one in dummy)}; of 1 expected difference it covers "
            f"{_percent(wald_rare)}, the exact limit {_percent(exact)}",
            "The exact limit covers at least 95 %; with few differences more, because counts are whole numbers.",
        ),
        Figure(
            "G13 share", "a share of 10 % bounds exactly a tenth", "equal to the bit" if tenth else "not equal", tenth
        ),
    ]


def _sample(draws: int) -> list[Figure]:
    random = np.random.default_rng(8)
    names, stakes, outcomes = [], [], []
    for number in range(20_000):
        same = number % 10 != 0
        difference = float(random.beta(0.7, 4))
        names.append(sampling.stratum_name(difference, same_label=same))
        stakes.append(sampling.stake(difference, same_label=same))
        outcomes.append(0.0 if same else float(random.choice([-1, 1], p=[0.7, 0.3]) * (random.random() < difference)))
    truth = np.array(outcomes)
    stratified, simple = [], []
    for seed in range(draws):
        sample = sampling.draw(names, stakes, 200, seed=seed)
        found = sampling.estimate(sample, {index: outcomes[index] for index in sample.chosen})
        stratified.append(math.nan if found is None else found.mean)
        simple.append(float(truth[random.choice(truth.size, 200, replace=False)].mean()))
    ratio = float(np.var(stratified, ddof=1) / np.var(simple, ddof=1))
    bias = float((np.mean(stratified) - truth.mean()) / np.std(stratified, ddof=1))
    return [
        Figure(
            "G14",
            GOALS["G14"],
            f"variance {ratio:.2f} × simple random, bias {bias:+.3f} standard errors ({draws} draws of 200 of 20,000)",
            ratio <= 0.5 and abs(bias) < 0.5,
            "a simple random sample of the same size: 1.00 ×",
            "Planted: outcomes differ only where the best label does, the oftener the further the answers are apart.",
        )
    ]


def _flags(count: int, seed: int) -> dict[str, Flags]:
    random = np.random.default_rng(seed)
    red = random.random(count) < 0.5
    chance = {"A": np.where(red, 0.8, 0), "B": np.where(red, 0, 0.8), "A'": np.where(red, 0.4, 1.0)}
    return {name: random.random(count) < one for name, one in chance.items()}


def _cascade(runs: int) -> list[Figure]:
    found = exchange(["A", "B"], "A", "A'", _flags(100_000, 1))
    numbers = [found.before.links[0].alone, found.before.whole, found.after.links[0].alone, found.after.whole]
    off = max(abs(one - wanted) for one, wanted in zip(numbers, (0.4, 0.8, 0.7, 0.7), strict=True))
    blamed = {"asked": 0, "passed on": 0}
    fell = nearest = 0
    for seed in range(runs):
        for name in blamed:
            seen, changes = _observed(seed, all_asked=name == "asked")
            blamed[name] += suspects(seen, changes)[0].change.of == "A"
        fell += _fell_most(seen, changes) == "A"
        nearest += max(changes, key=lambda one: gain(seen.whole, seen.at < one.at)).of == "A"
    return [
        Figure(
            "G15 cascade",
            GOALS["G15"],
            f"{'/'.join(f'{100 * one:.1f}' for one in numbers)} %, B adds {100 * found.before.adds('B'):.1f} then "
            f"{100 * found.after.adds('B'):.1f} %: {found.advice}",
            off <= 0.005 and found.advice == "do not promote",
            f"by A' alone ({100 * numbers[2]:.0f} beside {100 * numbers[0]:.0f} %): promote",
        ),
        Figure(
            "G15 culprit",
            "the drop is attributed to the change of A in ≥ 95 % of runs",
            f"{_percent(blamed['asked'] / runs)} where every stage is asked, {_percent(blamed['passed on'] / runs)} "
            f"where B sees only what A lets pass ({runs} runs each)",
            min(blamed.values()) / runs >= 0.95,
            f"blaming whose own numbers fell most: {_percent(fell / runs)}; the change at which the whole broke best: "
            f"{_percent(nearest / runs)}",
            "4,000 frauds; in the log are also B rolled out anew without a change, a camera and a schedule.",
        ),
    ]


def _observed(seed: int, *, all_asked: bool) -> tuple[Seen, list[Change]]:
    random = np.random.default_rng(seed)
    flags = _flags(4_000, seed)
    at = np.arange(4_000)
    changed, *others = (int(one) for one in random.choice(np.arange(600, 3_400), 4, replace=False))
    first = np.where(at < changed, flags["A"], flags["A'"]).astype(float)
    second = flags["B"].astype(float)
    if not all_asked:
        second = np.where(first == 1, np.nan, second)
    changes = [Change(at=changed, of="A"), Change(at=others[0], of="B")]
    changes += [Change(at=others[1], of="camera"), Change(at=others[2], of="schedule")]
    return Seen(at=at, stages=("A", "B"), marked={"A": first, "B": second}), changes


def _fell_most(seen: Seen, changes: list[Change]) -> str:
    """What a graph of each model's catches suggests."""
    half = changes[0].at
    drops = {
        stage: np.nanmean(seen.marked[stage][:half]) - np.nanmean(seen.marked[stage][half:]) for stage in seen.stages
    }
    return max(drops, key=lambda stage: float(drops[stage]))


def _same_order() -> Figure:
    scores = np.random.default_rng(2).beta(0.4, 1.7, 50_000).clip(1e-9, 1 - 1e-9)
    worst, raw = 0.0, 0.0
    for mapped in (scores / (1 - scores), scores**9, 1000 * scores - 7, np.log(scores)):
        apart = History(scores[:25_000]).quantiles(scores[25_000:]) - History(mapped[:25_000]).quantiles(
            mapped[25_000:]
        )
        worst, raw = max(worst, float(np.abs(apart).max())), max(raw, float(np.abs(mapped - scores).max()))
    return Figure(
        "E6",
        "scores related by any increasing map: quantiles ≤ 0.5 % apart everywhere",
        f"{100 * worst:.3g} % at most (4 maps, 25,000 scores)",
        worst <= 0.005,
        f"raw scores: up to {raw:.3g} apart",
    )


def _tops() -> Figure:
    random = np.random.default_rng(4)
    worst = 0.0
    one = random.normal(size=20_000)
    for noise in (0.02, 0.1, 0.4, 1.0, 10.0):
        other = one + noise * random.normal(size=one.size)
        for top in tops(History(one).quantiles(one), History(other).quantiles(other)):
            worst = max(worst, abs(top.overlap - _exact(one, other, top.share)))
    return Figure(
        "E7",
        "overlap of the top 1, 5, 10, 50 % agrees with the exact computation within 1 point",
        f"{100 * worst:.3g} points at most (5 pairs of 20,000)",
        worst <= 0.01,
        "chance alone: 1, 5, 10, 50 %",
    )


def _exact(one: Floats, other: Floats, share: float) -> float:
    count = round(share * one.size)
    return len(set(np.argsort(-one)[:count].tolist()) & set(np.argsort(-other)[:count].tolist())) / count


def _hashing() -> Figure:
    steps = [Step(at=1_000_000 * (nth + 1), share=share) for nth, share in enumerate((0.01, 0.1, 0.5, 1.0))]

    def rows(*, nested: bool) -> list[Row]:
        return [
            _row(
                nth * 10_000 + user,
                at=step.at + user,
                user=f"u{user}",
                served=in_share(f"new{'' if nested else nth}", f"u{user}", step.share),
            )
            for nth, step in enumerate(steps)
            for user in range(5_000)
        ]

    found, dummy = sticky(rows(nested=True), "new", "user", steps), sticky(rows(nested=False), "new", "user", steps)
    return Figure(
        "E12",
        "shares within ± 3 standard errors, 0 users switch back while the share grows",
        f"{', '.join(f'{one.errors:+.1f}' for one in found.steps)} standard errors; {found.switched_back} went back",
        all(one.as_planned for one in found.steps) and found.switched_back == 0,
        f"hashing anew at every step: {dummy.switched_back} of 5,000 users switch back",
    )


def _row(number: int, **given: Any) -> Row:
    name = "new" if given["served"] else "old"
    return Row(
        request_id=str(number),
        task="t",
        at=given["at"],
        tags={"user": given["user"]},
        answered_by=name,
        cause="preferred",
    )


def _exploration(runs: int) -> Figure:
    covered, naive = 0, []
    for seed in range(runs):
        rows = _by_lot(3_000, seed)
        found = off_policy(rows, "bold", right)
        covered += found is not None and abs(found.value - 0.7) <= 1.96 * found.error
        naive.append(float(np.mean([right(one) or 0.0 for one in rows if one.answered_by == "bold"])))
    return Figure(
        "E14",
        "off-policy estimates are possible from recorded chances: the 95 % interval covers the truth in 95 ± 3 %",
        f"{_percent(covered / runs)} of {runs} runs (3,000 requests each)",
        abs(covered / runs - 0.95) <= 0.03 if runs >= 500 else None,
        f"the mean of what it answered: {100 * float(np.mean(naive)):.1f} % right instead of 70.0 %",
        "" if runs >= 500 else "too few runs to judge a coverage",
    )


def _by_lot(count: int, seed: int) -> list[Row]:
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        hard = number % 2 == 0
        chance = 0.1 if hard else 0.3
        bold = bool(random.random() < chance)
        good = random.random() < ((0.6 if hard else 0.8) if bold else 0.5)
        rows.append(
            Row(
                request_id=str(number),
                task="t",
                at=number,
                answered_by="bold" if bold else "shy",
                cause="preferred",
                propensity=chance if bold else 1 - chance,
                label="hen" if good else "egg",
                truth="hen",
            )
        )
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
