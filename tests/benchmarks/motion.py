"""The motion detector against Debian's Motion, MOG2 and a running average, on the same films with known truth.

Scored by frame and by event as `roost_edge.motion.score` says. The thresholds of MOG2 and of the running average are
chosen in their favour: for each the one with the best sum of event scores over all clips. Ours are the defaults of the
settings; Motion runs as installed and as its guide recommends, in real time, and so on the first seeds only. Cost is
the processor time of one frame at 640×480, RGB, on one thread, as a ratio to the running average in the same run.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench_motion_clips as clips
import bench_motion_rivals as rivals
import cv2
from report import Goal, Outcome, Say, at_least, at_most, percentile

from roost_broker.clock import SECOND
from roost_edge.motion.detector import MotionDetector
from roost_edge.motion.score import Moment, Score, score

QUIET_MS = 2_000
SEEDS = (101, 102, 103, 104, 105, 106, 107, 108, 109, 110)
"""For reporting only. What the detector does was chosen on 5 and 41 to 47, and never on these."""
MOTION_SEEDS = SEEDS[:2]
AREAS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.01, 0.02, 0.04)
_QUICK = {"visits", "steps", "small", "real box+"}
OURS = "Roost"


@dataclass
class _Film:
    clip: clips.Clip
    seed: int
    path: Path
    truths: list[bool | None]
    found: dict[str, Sequence[bool]] = field(default_factory=dict)

    def score(self, who: str) -> Score:
        every_ms = 1000 // clips.FPS
        rows = zip(self.truths, self.found[who], strict=True)
        return score([Moment(n * every_ms, true, found) for n, (true, found) in enumerate(rows)], QUIET_MS)


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    seconds, seeds = (15, SEEDS[:1]) if quick else (30, SEEDS)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _run(quick, seconds, seeds, say)
    finally:
        cv2.setNumThreads(threads)


def _run(quick: bool, seconds: int, seeds: Sequence[int], say: Say) -> Outcome:
    costs: dict[str, list[float]] = {OURS: [], "MOG2": [], "running average": []}
    with tempfile.TemporaryDirectory() as folder:
        films = []
        version = rivals.motion_version()
        for seed in seeds:
            for clip in [*clips.rendered(seed, seconds), *clips.real(seed, seconds)]:
                if quick and clip.name not in _QUICK:
                    continue
                say(f"{clip.name}, seed {seed}: rendering")
                path = Path(folder) / f"{seed}-{clip.name.replace(' ', '-')}.avi"
                films.append(_Film(clip, seed, path, clips.write(clip, path)))
                say(f"{clip.name}, seed {seed}: ours and those of OpenCV")
                _watch(films[-1], costs)
                if not version or seed not in MOTION_SEEDS:
                    path.unlink()
        _choose_thresholds(films)
        for name, settings in rivals.MOTION.items() if version else ():
            if quick and settings:
                continue
            some = [film for film in films if film.seed in MOTION_SEEDS]
            say(f"{name} {version}, {len(some)} films at their own speed")
            at_once = max(2, os.cpu_count() or 2) * 2
            finds = rivals.motion_finds([film.path for film in some], settings, seconds, at_once)
            for film in some:
                film.found[name] = [number in finds[film.path] for number in range(len(film.truths))]
    return _outcome(films, costs, version)


def _watch(film: _Film, costs: dict[str, list[float]]) -> None:
    detector = MotionDetector()
    areas: dict[str, tuple[Callable[[Any], float], list[float]]] = {
        "MOG2": (rivals.mog2(), []),
        "running average": (rivals.running_average(), []),
    }
    moving: list[bool] = []
    for number, picture in enumerate(clips.read(film.path)):
        started = time.thread_time_ns()
        verdict = detector.update(picture, number * SECOND // clips.FPS)
        costs[OURS].append((time.thread_time_ns() - started) / 1e6)
        moving.append(verdict.moving)
        for name, (area, found) in areas.items():
            started = time.thread_time_ns()
            found.append(area(picture))
            costs[name].append((time.thread_time_ns() - started) / 1e6)
    film.found[OURS] = moving
    for name, (_, found) in areas.items():
        for threshold in AREAS:
            film.found[f"{name} {threshold}"] = [value >= threshold for value in found]


def _choose_thresholds(films: Sequence[_Film]) -> None:
    for name in ("MOG2", "running average"):

        def worth(threshold: float, name: str = name) -> float:
            scores = [film.score(f"{name} {threshold}") for film in films]
            return sum(_event(one) - (0.1 * one.events_false if one.event_f1 is None else 0) for one in scores)

        best = max(AREAS, key=worth)
        for film in films:
            film.found[name] = film.found[f"{name} {best}"]


def _event(one: Score) -> float:
    """As a number that can be compared: nothing there and nothing found is 1."""
    return 1.0 if one.event_f1 is None else one.event_f1


def _outcome(films: Sequence[_Film], costs: dict[str, list[float]], version: str) -> Outcome:
    names = [OURS, *(name for name in rivals.MOTION if name in films[0].found), "MOG2", "running average"]
    outcome = Outcome()
    outcome.lines.append(f"event F1 (false events) / frame F1; all seeds; Motion {version or 'not installed'}")
    outcome.lines.append(f"{'clip':<16}" + "".join(f"{name:>24}" for name in names))
    rows, worse = [], []
    behind = level = 0
    false_on_steps = 0
    for film in films:
        scores = {name: film.score(name) for name in names if name in film.found}
        others = max(_event(scores[name]) for name in scores if name != OURS)
        behind += _event(scores[OURS]) < others
        level += _event(scores[OURS]) == others
        if film.clip.steps_only:
            false_on_steps += scores[OURS].events_false
        rows.append({"clip": film.clip.name, "seed": film.seed, "what": film.clip.what, "scores": _data(scores)})
        if _event(scores[OURS]) < others:
            told = ", ".join(f"{name} {_shown(one)}" for name, one in scores.items())
            worse.append(f"behind on {film.clip.name}, seed {film.seed}: {told}")
    for clip in dict.fromkeys(film.clip.name for film in films):
        outcome.lines.append(_row(clip, [film for film in films if film.clip.name == clip], names))
    outcome.lines.append(_row("all", films, names))
    totals = {name: _total(films, name) for name in names}
    outcome.lines += ["", *worse, *(_told(name, one) for name, one in totals.items())]
    base = percentile(costs["running average"], 0.5)
    cost = {name: {"ms": percentile(took, 0.5), "ratio": percentile(took, 0.5) / base} for name, took in costs.items()}
    outcome.lines.append("")
    outcome.lines += [f"{name}: {one['ms']:.2f} ms a frame, {one['ratio']:.2f} of it" for name, one in cost.items()]
    outcome.data = {"motion_version": version, "clips": rows, "all": _data(totals), "cost": cost}
    ours = totals[OURS]
    outcome.goals += [
        at_most("P2 behind", "clips on which another detector has the better event F1", "", behind, 0),
        Goal("P2 level", f"of {len(films)} clips, those on which the best other is as good", "", level, None),
        at_most("P2 steps", "events on clips of nothing but light steps", "", false_on_steps, 0),
        at_least("P2 events", "event F1 over all clips", "", round(_event(ours), 3), 0.9),
        at_most("P2 cost", "a frame at 640×480 (p50)", "ms", round(cost[OURS]["ms"], 2), 1),
    ]
    return outcome


def _total(films: Sequence[_Film], name: str) -> Score:
    return sum((film.score(name) for film in films if name in film.found), Score())


def _row(what: str, films: Sequence[_Film], names: Sequence[str]) -> str:
    return f"{what:<16}" + "".join(f"{_shown(_total(films, name)):>24}" for name in names)


def _told(name: str, one: Score) -> str:
    found, missed, false = one.frames_found, one.frames_missed, one.frames_false
    late = sorted(one.latencies_ms)
    return (
        f"{name}: events precision {one.precision or 0:.3f}, recall {one.recall or 0:.3f}; frames precision"
        f" {found / max(1, found + false):.3f}, recall {found / max(1, found + missed):.3f}; seen after"
        f" {one.latency_ms} ms (p50), {late[len(late) * 9 // 10] if late else None} ms (p90)"
    )


def _shown(one: Score) -> str:
    events = "–" if one.event_f1 is None else f"{one.event_f1:.2f}"
    frames = "–" if one.frame_f1 is None else f"{one.frame_f1:.2f}"
    return f"{events} ({one.events_false}) / {frames}"


def _data(scores: dict[str, Score]) -> dict[str, Any]:
    return {
        name: {
            "event_f1": one.event_f1,
            "frame_f1": one.frame_f1,
            "events": {"found": one.events_found, "missed": one.events_missed, "false": one.events_false},
            "fragments": one.fragments,
            "latency_ms": one.latency_ms,
        }
        for name, one in scores.items()
    }
