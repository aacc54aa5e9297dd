"""The book's figures 7-2 and 7-3 rehearsed with real models: a breed relabelled, a camera smeared or turned.

Pictures are rendered, go through the camera's own faults and capture's own encoding, and are shown to the two models
of the story and to the shipped canary. What they said goes, on a virtual clock, through the whole watch: rows, every
detector that it makes of itself, alarms in the budget, verdict. Nothing here chooses a detector or a threshold.

The dummy is what one would write first: the mean Buff Orpington score of the newest 20 samples against that of all
before, alarm beyond three standard errors. River's ADWIN and Page-Hinkley see that score, too, where it is installed.
"""

import copy
import importlib
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any, NamedTuple

from analytics_figures import Figure
from bench_rehearsal_flow import BEGIN, SECOND, Flow
from bench_rehearsal_pool import Shot, make_pool

from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.watching import Watching

BUFF = "buff_orpington"
AFTER = 80
"""Samples that are looked at after the change; as many are looked at of a run in which nothing happens."""
_DAY = 86_400
_QUICK = AnalyticsSettings(
    look_s=240,
    alarms=AnalyticsAlarmSettings(least_history_days=1.5, least_calibration_hours=24.0, least_events_per_hour=0.0),
)
"""What is learnt in weeks, in days."""


class Run(NamedTuple):
    """One story. `delay`: samples from the change to the alarm; None: none. The verdict is that of the call."""

    delay: int | None
    verdict: str
    first: str
    """The signal that is named first."""
    early: int
    """Alarms before the change."""
    buff: list[float]
    """The champion's score for Buff Orpington, sample by sample."""


def measure(quick: bool) -> list[Figure]:
    """See the module."""
    with tempfile.TemporaryDirectory() as folder:
        pool = make_pool(Path(folder), 12 if quick else 40, _say)
    return rehearse(pool, quick)


def rehearse(pool: dict[str, list[Shot]], quick: bool) -> list[Figure]:
    """The figures, from what the models said."""
    settings = _QUICK if quick else AnalyticsSettings()
    days, seeds, change_at, every = (4.5, 3, 20, 240 * SECOND) if quick else (14.0, 40, 120, 60 * SECOND)
    _say(f"{days:g} days of history …")
    flow = Flow(pool["plain"], 1, every)
    watching = Watching(settings)
    told = 0
    while flow.now < BEGIN + days * _DAY * SECOND:
        for one in flow.request()[1]:
            told += sum(each.step == "opened" for each in watching.handle(one))
    begin = flow.now
    stories: dict[str, Callable[[Flow], None]] = {
        "relabelled": Flow.correct,
        "smeared": lambda flow: setattr(flow, "pool", pool["smeared"]),
        "turned": lambda flow: setattr(flow, "pool", pool["turned"]),
        "nothing": lambda flow: None,
    }
    runs = {}
    for name, change in stories.items():
        _say(f"{name}, {seeds} times …")
        runs[name] = [_run(watching, pool, (begin, every), seed, change, change_at) for seed in range(seeds)]
    shift = [
        fmean(shot.scores[model][BUFF] for shot in pool["plain"] if shot.shows == "plymouth_rock")
        for model in ("wrong", "right")
    ]
    return [
        *_relabelled(runs, shift, told, (days * _DAY, every / SECOND), change_at),
        *(_eyes(name, runs[name]) for name in ("smeared", "turned")),
    ]


def _run(
    learnt: Watching,
    pool: dict[str, list[Shot]],
    times: tuple[int, int],
    seed: int,
    change: Callable[[Flow], None],
    change_at: int,
) -> Run:
    watching, flow = copy.deepcopy(learnt), Flow(pool["plain"], 1_000 + seed, times[1])
    flow.now = times[0]
    early, delay, episode, buff = 0, None, None, []
    for sample in range(1, change_at + AFTER + 1):
        if sample == change_at:
            change(flow)
        shot, heard = flow.request()
        buff.append(shot.scores[flow.model][BUFF])
        for one in heard:
            for told in watching.handle(one):
                if told.step == "opened" and sample < change_at:
                    early += 1
                elif told.step == "opened" and delay is None:
                    delay, episode = sample - change_at, told.episode
    if episode is None:
        return Run(None, "", "", early, buff)
    return Run(delay, episode.verdict, episode.contributions[0].signal, early, buff)


def _relabelled(
    runs: dict[str, list[Run]], shift: Sequence[float], told: int, times: tuple[float, float], change_at: int
) -> list[Figure]:
    mine, null = runs["relabelled"], runs["nothing"]
    seeds = len(mine)
    found = [run.delay for run in mine if run.delay is not None]
    timely = sum(delay <= 10 for delay in found)
    vain = sum(run.delay is not None for run in null)
    right = sum(run.verdict == "model" for run in mine)
    others = ", ".join(
        f"{word or 'none'} {count}" for word, count in Counter(run.verdict for run in mine).most_common()
    )
    culprit = sum("champion" in run.first for run in mine)
    quiet = len(null) * AFTER + sum(map(len, runs.values())) * change_at
    weeks = (times[0] + quiet * times[1]) / _DAY / 7
    false = told + vain + sum(run.early for some in runs.values() for run in some)
    middle = f"median delay {median(found):g} samples" if found else "never found"
    return [
        Figure(
            "G7 rehearsal",
            "breed relabelled at sample 120, real models, whole watch: alarm by sample 130 in ≥ 90 %, verdict model",
            f"within 10 samples in {timely} of {seeds}, ever in {len(found)}; {middle}; verdict {others}; "
            f"the champion named first {culprit} of {seeds}",
            timely >= 0.9 * seeds and right >= 0.95 * seeds and vain <= 0.01 * len(null),
            f"{false} false alarms in {weeks:.1f} weeks; {vain} of {len(null)} null runs. "
            + _rivals(mine, null, change_at),
            f"mean Buff score of Plymouth Rocks {shift[0]:.3f} → {shift[1]:.3f}; a request every {times[1] / 60:g} min",
        )
    ]


def _eyes(name: str, runs: Sequence[Run]) -> Figure:
    found = [run.delay for run in runs if run.delay is not None]
    verdicts = Counter(run.verdict or "no alarm" for run in runs)
    good = verdicts["camera"] + verdicts["world"]
    return Figure(
        f"G7 {name}",
        f"the camera {name}: alarm, and the verdict is camera or world in ≥ 95 %",
        f"{', '.join(f'{word} {count}' for word, count in verdicts.most_common())} of {len(runs)}; "
        + (f"median delay {median(found):g} samples" if found else "never found"),
        good >= 0.95 * len(runs),
        "a monitor of the champion's scores alone cannot tell this from a changed model",
    )


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
    found = [detect(run.buff) for run in mine]
    timely = sum(at is not None and change_at <= at <= change_at + 10 for at in found)
    vain = sum(detect(run.buff) is not None for run in null)
    return f"{name}: within 10 in {timely} of {len(mine)}, {vain} of {len(null)} null runs"


def _dummy(buff: list[float]) -> int | None:
    for sample in range(40, len(buff)):
        old, new = buff[: sample - 20], buff[sample - 20 : sample]
        if abs(fmean(new) - fmean(old)) > 3 * max(pstdev(old), 1e-6) / len(new) ** 0.5:
            return sample
    return None


def _river(make: Callable[[], Any], buff: list[float]) -> int | None:
    detector = make()
    for sample, value in enumerate(buff, 1):
        detector.update(value)
        if detector.drift_detected:
            return sample
    return None


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
