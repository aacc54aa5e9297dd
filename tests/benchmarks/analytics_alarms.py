"""Alarms (G11, G12, G19; X7): the budget kept on fresh quiet data, what is found within it, and one change = one alarm.

The worlds are those of the unit tests: twenty monitors, a tick every ten minutes, what is quiet is quiet by
construction. A dummy stands beside: the book's plain sum of log-odds, with quantiles as they were seen and the
threshold that is right for independent monitors.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from analytics_figures import Figure

_WORLDS = Path(__file__).parent.parent / "unit" / "analytics_alarms"
sys.path.insert(0, str(_WORLDS))

from alarm_world import DAY, TICK, WEEK, Surprises, World, opened, quiet, signals  # noqa: E402 - beside the tests

from roost_rendezvous.analytics.alarms.episode import Episode  # noqa: E402 - stays below the folder it comes with
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings  # noqa: E402 - the same

_KINDS = ("independent", "correlated", "clustered", "chronic")
_LEARN_WEEKS = 4
_BUDGET = AnalyticsAlarmSettings().alarms_per_week
_HOUR = 6


def measure(quick: bool) -> list[Figure]:
    """All figures of this room. `quick`: one world of each kind, fewer trials, four fresh weeks in place of twelve."""
    figures: list[Figure] = []
    for kind in _KINDS:
        print(f"  {kind} …", file=sys.stderr, flush=True)
        worlds = [_Lived(kind, seed, 4 if quick else 12) for seed in range(1 if quick else 3)]
        figures.append(_budget(kind, worlds))
        figures += _found(kind, worlds, 20 if quick else 200)
        if kind == "independent":
            figures += [_one_change(worlds, 2 if quick else 40), _footprint()]
    return [*figures, _ignorance()]


class _Lived:
    """A world after four weeks and some fresh ones, what it alarmed in those, and the dummy beside it."""

    def __init__(self, kind: str, seed: int, weeks: int) -> None:
        self.kind, self.weeks, self.rng = kind, weeks, np.random.default_rng(1_000 + seed)
        self.world = World(signals())
        past = quiet(kind, _LEARN_WEEKS * WEEK, self.rng)
        self.world.live(past)
        self.dummy = _Dummy(past)
        fresh = quiet(kind, weeks * WEEK, self.rng)
        self.history = np.concatenate([past, fresh])
        self.pages = opened(self.world.live(fresh))
        self.dummy_pages = self.dummy.episodes(fresh)
        self.kept = self.world.core.snapshot()

    def again(self, per_week: float = _BUDGET) -> World:
        """The world as it was after those weeks, with a budget."""
        world = World(self.world.of, AnalyticsAlarmSettings(hours_per_week=per_week / 3.0))
        world.core.restore(self.kept)
        world.now = self.world.now
        return world


class _Dummy:
    """The book's recipe word for word: empirical quantiles, log-odds, sum; the threshold by simulating independence."""

    def __init__(self, past: Surprises) -> None:
        self._past = np.sort(past, axis=0)
        rng = np.random.default_rng(0)
        quantiles = rng.uniform(size=(200_000, past.shape[1]))
        sums = np.log10(quantiles / (1.0 - quantiles)).sum(axis=1)
        self.threshold = float(np.quantile(sums, 1.0 - _BUDGET / WEEK))

    def sums(self, surprises: Surprises) -> Surprises:
        """The composite at each tick."""
        length = len(self._past)
        ranks = np.stack(
            [np.searchsorted(self._past[:, column], surprises[:, column]) for column in range(surprises.shape[1])],
            axis=1,
        )
        quantiles = np.clip(ranks, 0.5, length - 0.5) / length
        found: Surprises = np.log10(quantiles / (1.0 - quantiles)).sum(axis=1)
        return found

    def episodes(self, surprises: Surprises) -> int:
        """By the same rule as ours: an hour's calm between two."""
        above = np.flatnonzero(self.sums(surprises) >= self.threshold)
        return 0 if not len(above) else 1 + int((np.diff(above) > _HOUR).sum())


def _budget(kind: str, worlds: list[_Lived]) -> Figure:
    weeks = worlds[0].weeks
    rates = [len(one.pages) / weeks for one in worlds]
    dummy = sum(one.dummy_pages for one in worlds) / weeks / len(worlds)
    factors = worlds[0].world.core.standing(worlds[0].world.now).factors
    note = f"{_LEARN_WEEKS} weeks learnt, {weeks} fresh; common factors in use: {factors}"
    if kind == "chronic":
        pages = [page for one in worlds for page in one.pages]
        share = sum(_culprit(page) < 4 for page in pages) / max(1, len(pages))
        note += f"; the 4 of 20 that burst lead {share:.0%} of alarms, their share would be 20 %"
    return Figure(
        f"G11 {kind}",
        f"{0.5 * _BUDGET:g} to {1.5 * _BUDGET:g} alarms a week (budget {_BUDGET:g}) in each run",
        f"{', '.join(f'{rate:.2g}' for rate in rates)} a week over {weeks} weeks each",
        all(0.5 * _BUDGET <= rate <= 1.5 * _BUDGET for rate in rates) if weeks >= 12 else None,
        beside=f"dummy (sum of log-odds as if independent): {dummy:.2g} a week",
        note=note,
    )


def _found(kind: str, worlds: list[_Lived], trials: int) -> list[Figure]:
    rate = sum(len(one.pages) for one in worlds) / (worlds[0].weeks * len(worlds))

    def single(hour: Surprises, past: Surprises, rng: np.random.Generator) -> int:
        column = int(rng.integers(20))
        hour[:, column] = 1.5 * past[:, column].max()
        return column

    def screaming_alone(hour: Surprises, past: Surprises, rng: np.random.Generator) -> int:
        hour[:] = np.quantile(past, 0.1, axis=0)
        return single(hour, past, rng)

    def havoc(count: int, low: float, high: float) -> Callable[[Surprises, Surprises, np.random.Generator], int]:
        def put(hour: Surprises, past: Surprises, rng: np.random.Generator) -> int:
            for column in range(count):
                hour[:, column] = np.quantile(past[:, column], rng.uniform(low, high, size=len(hour)))
            return -count

        return put

    cases = (
        ("single", "one of 20 at 1.5 × its history's largest, for an hour: ≥ 99 %, first ≥ 90 %", 0.99, single),
        ("single at 2 a week", "the same with a budget of 2 a week: ≥ 99 %, first ≥ 90 %", 0.99, single),
        (
            "cancelled",
            "the same while the other 19 are at their quantile 0.1: ≥ 99 %, first ≥ 90 %",
            0.99,
            screaming_alone,
        ),
        ("8 of 20", "8 of 20 at quantiles 0.95 to 0.99 for an hour: ≥ 90 % (independent)", 0.9, havoc(8, 0.95, 0.99)),
        (
            "4 of 20",
            "4 of 20 at quantiles 0.99 to 0.999 for an hour: ≥ 85 % (independent)",
            0.85,
            havoc(4, 0.99, 0.999),
        ),
    )
    return [_case(kind, worlds, trials, rate, *case) for case in cases]


def _case(
    kind: str,
    worlds: list[_Lived],
    trials: int,
    rate: float,
    name: str,
    goal: str,
    least: float,
    put: Callable[[Surprises, Surprises, np.random.Generator], int],
) -> Figure:
    found = first = dummy = 0
    for trial in range(trials):
        one = worlds[trial % len(worlds)]
        rng = np.random.default_rng(50_000 + trial)
        hour = quiet(kind, _HOUR, rng)
        who = put(hour, one.history, rng)
        world = one.again(2.0 if name.endswith("2 a week") else _BUDGET)
        pages = opened(world.live(hour))
        still = [page for page in world.core.open if page.opened >= world.now - _HOUR * TICK]
        found += bool(pages)
        culprits = [_culprit(page) for page in still[:1]]
        first += any(one == who if who >= 0 else one < -who for one in culprits)
        dummy += one.dummy.episodes(hour) > 0
    met = found / trials >= least and first >= 0.9 * found
    claimed = kind == "independent" or name.startswith(("single", "cancelled"))
    return Figure(
        f"G11 {name}, {kind}",
        goal,
        f"{found / trials:.1%} of {trials} found, a culprit first in {first / max(1, found):.1%}",
        met if claimed else None,
        beside=f"{rate:.2g} false alarms a week at budget {_BUDGET:g}; dummy at that finds {dummy / trials:.1%}",
        note="" if claimed else "no goal for this kind",
    )


def _one_change(worlds: list[_Lived], trials: int) -> Figure:
    """A duration grows by 35 %; its monitor sees ten-minute means with a spread of 12 %."""
    exact = later = 0
    for trial in range(trials):
        world = worlds[trial % len(worlds)].again()
        rng = np.random.default_rng(70_000 + trial)
        surprises = quiet("independent", WEEK, rng)
        surprises[:, 5] = np.abs(rng.normal(size=WEEK) + np.log(1.35) / 0.12)
        pages = [page for page in opened(world.live(surprises)) if _culprit(page) == 5]
        exact += len(pages) == 1
        later += len(pages) > 1
    return Figure(
        "G12",
        "a level shift of 35 % that stays is exactly 1 episode in a week, then the new normal",
        f"exactly 1 in {exact} of {trials}, more in {later}",
        exact >= 0.9 * trials,
        beside=f"a threshold on each tick alarms about {WEEK // 2} times in that week",
        note="nobody acknowledges it: it is taken as the new normal after 24 h",
    )


def _footprint() -> Figure:
    count, ticks = 1_000, 40
    world = World(signals(count), AnalyticsAlarmSettings(least_history_days=0.1, least_readings=20))
    rng = np.random.default_rng(1)
    for row in quiet("independent", ticks, rng, count):
        world.live(row[None])
    started = time.process_time()
    world.live(quiet("independent", 10, rng, count))
    each = (time.process_time() - started) / 10
    row = world.core.bytes_per_signal
    snapshot = len(json.dumps(world.core.snapshot())) / count
    return Figure(
        "X7 signals",
        "≤ 20 kB an idle signal, 1,000 signals",
        f"{row / 1000:.1f} kB of arrays a signal; a tick of 1,000 signals {each * 1000:.0f} ms of processor",
        row <= 20_000,
        note=f"snapshot {snapshot / 1000:.1f} kB a signal after {ticks + 10} ticks; readings and names add about 1 kB",
    )


def _ignorance() -> Figure:
    pages = 0
    for days, events in ((6, 20), (9, 2)):
        world = World(signals(5))
        rng = np.random.default_rng(days)
        world.live(quiet("independent", days * DAY, rng, 5), events=events)
        pages += len(opened(world.live(quiet("independent", DAY - 6, rng, 5) * 1_000.0, events=events)))
        pages += sum(not one.why_not for one in world.core.standing(world.now).signals)
    return Figure(
        "G19 pages",
        "under a week of history, or under 30 events an hour: never a page, and listed with the reason",
        f"{pages} pages or unlisted signals when all surprises grew a thousandfold",
        pages == 0,
    )


def _culprit(page: Episode) -> int:
    return int(page.culprit.of.removeprefix("monitor")) if page.culprit else -1
