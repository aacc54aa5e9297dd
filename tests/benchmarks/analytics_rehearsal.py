"""The book's figures 7-2 and 7-3 rehearsed with real models: a breed relabelled, a camera smeared or turned.

Pictures are rendered, go through the camera's own faults and capture's own encoding, and are shown to the two models
of the story and to the shipped canary. What they said goes, on a virtual clock, through the whole watch: rows, every
detector that it makes of itself, alarms in the budget, verdict. Nothing here chooses a detector or a threshold.

One number of the watch was chosen by such runs, by those of the book's breed: how urgent a signal must be beside the
others to be evidence (`alarms/keeper.py`). So other breeds, taken for each other by models that learnt from other
pictures, and seen by a camera in front of others again, stand in lines of their own. A world is a heap of pictures,
out of which one is taken by chance each time: nothing changes but what the story changes.

The dummy is what one would write first: the mean score of the wrong name in the newest 20 samples against that of all
before, alarm beyond three standard errors. River's ADWIN and Page-Hinkley see that score, too, where it is installed.
"""

import copy
import importlib
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any, NamedTuple

from analytics_figures import Figure
from bench_rehearsal_flow import BEGIN, SECOND, Flow
from bench_rehearsal_pool import Shot, World, make_pool

from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.watching import Watching

BOOK = World("plymouth_rock", "buff_orpington", learnt_from=31, shown=97)
OTHERS = (
    World("rhode_island_red", "plymouth_rock", learnt_from=131, shown=197),
    World("buff_orpington", "rhode_island_red", learnt_from=231, shown=297),
)
"""Nothing was ever chosen by these."""
AFTER = 80
"""Samples that are looked at after the change; as many are looked at of a run in which nothing happens."""
_DAY = 86_400


class Plan(NamedTuple):
    """How long is learnt, how often is told."""

    settings: AnalyticsSettings
    days: float
    every: int
    """From one picture to the next, on average (ns)."""
    change_at: int
    seeds: int
    """Runs of each story in each world."""


_QUICK = Plan(
    AnalyticsSettings(
        look_s=240,
        alarms=AnalyticsAlarmSettings(least_history_days=1.5, least_calibration_hours=24.0, least_events_per_hour=0.0),
    ),
    days=4.5,
    every=240 * SECOND,
    change_at=20,
    seeds=2,
)
"""What is learnt in weeks, in days."""
_WHOLE = Plan(AnalyticsSettings(), days=10.0, every=60 * SECOND, change_at=120, seeds=8)
"""The settings that a device has."""


class Run(NamedTuple):
    """One story. `delay`: samples from the change to the alarm; None: none."""

    delay: int | None
    verdict: str
    """Of the call."""
    later: str
    """The last one that was told of it, as more was seen."""
    first: str
    """The signal that is named first."""
    early: int
    """Alarms before the change."""
    score: list[float]
    """The champion's score for the wrong name, sample by sample."""


class Told(NamedTuple):
    """All stories of one world."""

    runs: dict[str, list[Run]]
    while_learning: int
    """Alarms in the history, in which nothing happened."""
    shift: tuple[float, float]
    """Mean score of the wrong name for the breed: by the mistaken model, by the corrected one."""


def measure(quick: bool) -> list[Figure]:
    """See the module."""
    plan = _QUICK if quick else _WHOLE
    told = []
    for world in (BOOK, *OTHERS):
        with tempfile.TemporaryDirectory() as folder:
            pool = make_pool(Path(folder), world, 16 if quick else 40, _say)
        told.append(rehearse(pool, world, plan))
    return [*_figures("", told[:1], plan), *_figures(", other breeds", told[1:], plan)]


def rehearse(pool: dict[str, list[Shot]], world: World, plan: Plan) -> Told:
    """The stories of one world, from what the models said."""
    _say(f"{plan.days:g} days of history …")
    flow = Flow(pool["plain"], world.breed, world.shown, plan.every)
    watching = Watching(plan.settings)
    early = 0
    while flow.now < BEGIN + plan.days * _DAY * SECOND:
        for one in flow.request()[1]:
            early += sum(each.step == "opened" for each in watching.handle(one))
    stories: dict[str, Callable[[Flow], None]] = {
        "relabelled": Flow.correct,
        "smeared": lambda flow: setattr(flow, "pool", pool["smeared"]),
        "turned": lambda flow: setattr(flow, "pool", pool["turned"]),
        "nothing": lambda flow: None,
    }
    runs: dict[str, list[Run]] = {}
    for name, change in stories.items():
        _say(f"{name}, {plan.seeds} times …")
        runs[name] = []
        for seed in range(plan.seeds):
            own = Flow(pool["plain"], world.breed, 1_000 * world.shown + seed, plan.every)
            own.now = flow.now
            runs[name].append(_run(copy.deepcopy(watching), own, world.taken_for, change, plan.change_at))
    wrong, right = (
        fmean(shot.scores[model][world.taken_for] for shot in pool["plain"] if shot.shows == world.breed)
        for model in ("wrong", "right")
    )
    return Told(runs, early, (wrong, right))


def _run(watching: Watching, flow: Flow, name: str, change: Callable[[Flow], None], change_at: int) -> Run:
    early, delay, episode, later, score = 0, None, None, "", []
    for sample in range(1, change_at + AFTER + 1):
        if sample == change_at:
            change(flow)
        shot, heard = flow.request()
        score.append(shot.scores[flow.model][name])
        for one in heard:
            for told in watching.handle(one):
                if told.step == "opened" and sample < change_at:
                    early += 1
                elif told.step == "opened" and delay is None:
                    delay, episode, later = sample - change_at, told.episode, told.episode.verdict
                elif told.step == "updated" and episode is not None and told.episode.id == episode.id:
                    later = told.episode.verdict
    if episode is None:
        return Run(None, "", "", "", early, score)
    return Run(delay, episode.verdict, later, episode.contributions[0].signal, early, score)


def _figures(where: str, told: Sequence[Told], plan: Plan) -> list[Figure]:
    runs = {name: [run for world in told for run in world.runs[name]] for name in told[0].runs}
    false = _false_alarms(told, runs, plan)
    return [
        _relabelled(where, runs, told, false, plan),
        *(_eyes(name + where, runs[name], false) for name in ("smeared", "turned")),
    ]


def _false_alarms(told: Sequence[Told], runs: dict[str, list[Run]], plan: Plan) -> str:
    """Of all the time in which nothing had happened yet, and of the runs in which nothing does."""
    vain = sum(run.delay is not None for run in runs["nothing"])
    quiet = len(runs["nothing"]) * AFTER + sum(map(len, runs.values())) * plan.change_at
    weeks = (plan.days * len(told) + quiet * plan.every / SECOND / _DAY) / 7
    early = sum(world.while_learning for world in told) + sum(run.early for some in runs.values() for run in some)
    return f"{vain + early} false alarms in {weeks:.1f} weeks; {vain} of {len(runs['nothing'])} null runs"


def _relabelled(where: str, runs: dict[str, list[Run]], told: Sequence[Told], false: str, plan: Plan) -> Figure:
    mine, null = runs["relabelled"], runs["nothing"]
    seeds = len(mine)
    found = [run.delay for run in mine if run.delay is not None]
    timely = sum(delay <= 10 for delay in found)
    vain = sum(run.delay is not None for run in null)
    right = sum(run.verdict == "model" for run in mine)
    culprit = sum("champion" in run.first for run in mine)
    middle = f"median delay {median(found):g} samples" if found else "never found"
    shifts = ", ".join(f"{wrong:.3f} → {corrected:.3f}" for wrong, corrected in (world.shift for world in told))
    return Figure(
        f"G7 rehearsal{where}",
        f"breed relabelled at sample {plan.change_at}, real models, whole watch: alarm within 10 samples in ≥ 90 %, "
        "verdict model in ≥ 95 %, null runs ≤ 1 %",
        f"within 10 samples in {timely} of {seeds}, ever in {len(found)}; {middle}; "
        f"verdict {_words(run.verdict for run in mine)} (in the end {_words(run.later for run in mine)}); "
        f"the champion named first {culprit} of {seeds}",
        timely >= 0.9 * seeds and right >= 0.95 * seeds and vain <= 0.01 * len(null),
        f"{false}. {_rivals(mine, null, plan.change_at)}",
        f"mean score of the wrong name for that breed {shifts}; a picture every {plan.every / SECOND / 60:g} min; "
        + ("the weighing was chosen by runs of this breed" if not where else "nothing was chosen by these runs"),
    )


def _eyes(name: str, runs: Sequence[Run], false: str) -> Figure:
    found = [run.delay for run in runs if run.delay is not None]
    good = sum(run.verdict in ("camera", "world") for run in runs)
    return Figure(
        f"G7 {name}",
        f"the camera {name.split(',')[0]}: alarm, and the verdict is camera or world in ≥ 95 %",
        f"{_words(run.verdict for run in runs)} of {len(runs)} (in the end {_words(run.later for run in runs)}); "
        + (f"median delay {median(found):g} samples" if found else "never found"),
        good >= 0.95 * len(runs),
        f"{false}. A monitor of the champion's scores alone cannot tell this from a changed model",
    )


def _words(verdicts: Iterable[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in Counter(one or "none" for one in verdicts).most_common())


def _rivals(mine: Sequence[Run], null: Sequence[Run], change_at: int) -> str:
    said = [_judged("dummy", _dummy, mine, null, change_at)]
    try:
        drift = importlib.import_module("river.drift")
    except ImportError:
        return f"{said[0]}; river is not installed here"
    for name, make in (("ADWIN", drift.ADWIN), ("Page-Hinkley", drift.PageHinkley)):
        said.append(_judged(name, partial(_river, make), mine, null, change_at))
    return "; ".join(said) + "; none of them gives a verdict"


def _judged(
    name: str, detect: Callable[[list[float]], int | None], mine: Sequence[Run], null: Sequence[Run], change_at: int
) -> str:
    """`detect` gives the first alarm's sample."""
    found = [detect(run.score) for run in mine]
    timely = sum(at is not None and change_at <= at <= change_at + 10 for at in found)
    vain = sum(detect(run.score) is not None for run in null)
    return f"{name}: within 10 in {timely} of {len(mine)}, {vain} of {len(null)} null runs"


def _dummy(score: list[float]) -> int | None:
    for sample in range(40, len(score)):
        old, new = score[: sample - 20], score[sample - 20 : sample]
        if abs(fmean(new) - fmean(old)) > 3 * max(pstdev(old), 1e-6) / len(new) ** 0.5:
            return sample
    return None


def _river(make: Callable[[], Any], score: list[float]) -> int | None:
    detector = make()
    for sample, value in enumerate(score, 1):
        detector.update(value)
        if detector.drift_detected:
            return sample
    return None


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
