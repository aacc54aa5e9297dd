"""Which settings would have done best on a clip whose truth is known: a small search, one parameter after the other.

Coordinate search: every parameter is tried at its values while the others stay, the best is kept, and the next one
follows; twice round. That is some fifty runs over planes that were made small once, not thousands. Only parameters that
people turn are tried; `min_area` and `min_delta` first, for they decide most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import structs

from roost_broker.clock import MS
from roost_edge.motion.detector import MotionDetector
from roost_edge.motion.score import Moment, Score, score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roost_edge.motion.score import Period
    from roost_edge.motion.settings import MotionSettings
    from roost_edge.sources.frame import Image

GRID: Mapping[str, tuple[float, ...]] = {
    "min_area": (0.0009, 0.0018, 0.003, 0.005, 0.01, 0.02),
    "min_delta": (3, 4, 6, 8, 12, 20),
    "noise_factor": (3.5, 5.0, 7.0, 10.0),
    "small_frames": (2, 4, 8),
    "rest_ms": (3_000, 10_000, 30_000),
}
MAX_FRAMES = 36_000
"""An hour at ten a second; small, they take some 20 kB each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run over the clip."""

    parameter: str
    """Which one was turned; empty for the settings as they were."""
    value: float
    settings: MotionSettings
    score: Score

    @property
    def worth(self) -> float:
        """What is made as large as can be: event F1, then frame F1, a little for being early and for whole events."""
        events = 1.0 if self.score.event_f1 is None else self.score.event_f1
        frames = 1.0 if self.score.frame_f1 is None else self.score.frame_f1
        return events + 0.2 * frames - 0.01 * self.score.fragments - (self.score.latency_ms or 0) / 50_000


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was tried, and what was best."""

    before: Trial
    best: Trial
    trials: tuple[Trial, ...]


def tune(
    planes: Sequence[Image],
    times_ns: Sequence[int],
    truth: Sequence[Period],
    settings: MotionSettings,
    *,
    quiet_ms: int,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Tuned:
    """Search from `settings`. `planes` are pictures of one width, `times_ns` rise with them."""
    rounds = 2
    total = rounds * sum(map(len, GRID.values())) + 1
    known: dict[Any, Score] = {}
    trials: list[Trial] = []

    def attempt(parameter: str, value: float, chosen: MotionSettings) -> Trial:
        key = tuple(getattr(chosen, name) for name in GRID)
        if key not in known:
            known[key] = judge(planes, times_ns, truth, chosen, quiet_ms=quiet_ms)
        trials.append(Trial(parameter, value, chosen, known[key]))
        told(len(trials), total)
        return trials[-1]

    before = best = attempt("", 0, settings)
    for _ in range(rounds):
        for parameter, values in GRID.items():
            for value in values:
                typed = type(getattr(settings, parameter))(value)
                trial = attempt(parameter, value, structs.replace(best.settings, **{parameter: typed}))
                if trial.worth > best.worth + 1e-6:
                    best = trial
    return Tuned(before, best, tuple(trials))


def judge(
    planes: Sequence[Image],
    times_ns: Sequence[int],
    truth: Sequence[Period],
    settings: MotionSettings,
    *,
    quiet_ms: int,
) -> Score:
    """One run with these settings. What the detector learns from at the beginning is not judged."""
    detector = MotionDetector(settings)
    moments = []
    for plane, time_ns in zip(planes, times_ns, strict=True):
        verdict = detector.update(plane, time_ns)
        ms = time_ns // MS
        there: bool | None = any(period.start_ms <= ms <= period.end_ms for period in truth)
        moments.append(Moment(ms, None if verdict.reason == "learning" else there, verdict.moving))
    return score(moments, quiet_ms)


def changes(tuned: Tuned) -> dict[str, float]:
    """The parameters of the best settings that are not what they were."""
    return {
        name: getattr(tuned.best.settings, name)
        for name in GRID
        if getattr(tuned.best.settings, name) != getattr(tuned.before.settings, name)
    }
