"""How good a motion detector is on a clip whose truth is known: by frame and by event. Pure.

1. A frame's truth is yes, no, or open (None): a bird half out of the picture, an opened door that stands open.
2. An event is a run of yes; runs closer together than `quiet_ms` are one, as capture makes one event of them, and so
   are runs between which every frame is open. Found events are made of a detector's frames by the same rule.
3. Found and true events are matched one to one, in order, where they overlap: who always says "motion" finds one event,
   not all of them. What is left of the true ones is missed.
4. What is left of the found ones is a *fragment* where it overlaps a true event (one visit told twice), nothing where
   it lies within open frames, and *false* else.
5. Latency is from the first yes of an event to the first frame found in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_AFTER_MS = 500
"""A detector may be so late to see that nothing is there any more."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame: when, what is true, and what was found."""

    ms: int
    true: bool | None
    found: bool


@dataclass(frozen=True, slots=True)
class Period:
    """From the first frame of an event to its last, both included."""

    start_ms: int
    end_ms: int

    def overlaps(self, other: Period, slack_ms: int = 0) -> bool:
        """Whether both have a moment in common; `self` may last `slack_ms` longer."""
        return self.start_ms <= other.end_ms and other.start_ms <= self.end_ms + slack_ms


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one clip; add them up with `+` and ask for ratios afterwards."""

    frames_found: int = 0
    frames_missed: int = 0
    frames_false: int = 0
    frames_right: int = 0
    """Nothing was there, and nothing was found."""
    events_found: int = 0
    events_missed: int = 0
    events_false: int = 0
    fragments: int = 0
    latencies_ms: tuple[int, ...] = ()

    def __add__(self, other: Score) -> Score:
        return Score(
            self.frames_found + other.frames_found,
            self.frames_missed + other.frames_missed,
            self.frames_false + other.frames_false,
            self.frames_right + other.frames_right,
            self.events_found + other.events_found,
            self.events_missed + other.events_missed,
            self.events_false + other.events_false,
            self.fragments + other.fragments,
            self.latencies_ms + other.latencies_ms,
        )

    @property
    def frame_f1(self) -> float | None:
        """Harmonic mean of precision and recall by frame; None when nothing was there and nothing found."""
        return _f1(self.frames_found, self.frames_missed, self.frames_false)

    @property
    def event_f1(self) -> float | None:
        """The same by event."""
        return _f1(self.events_found, self.events_missed, self.events_false)

    @property
    def precision(self) -> float | None:
        """Share of the found events that are true ones; fragments count neither way."""
        return _share(self.events_found, self.events_false)

    @property
    def recall(self) -> float | None:
        """Share of the true events that are found."""
        return _share(self.events_found, self.events_missed)

    @property
    def latency_ms(self) -> int | None:
        """Median over the events that were found."""
        ordered = sorted(self.latencies_ms)
        return ordered[len(ordered) // 2] if ordered else None


def score(moments: Sequence[Moment], quiet_ms: int) -> Score:
    """Score one clip, its frames in order of time."""
    truths = _true_events(moments, quiet_ms)
    finds = _runs([moment.ms for moment in moments if moment.found], quiet_ms)
    matched = _match(truths, finds)
    left = [find for number, find in enumerate(finds) if number not in matched.values()]
    fragments = [find for find in left if any(truth.overlaps(find, _AFTER_MS) for truth in truths)]
    false = [find for find in left if find not in fragments and not _open(moments, find)]
    judged = [moment for moment in moments if moment.true is not None]
    return Score(
        frames_found=sum(bool(m.true) and m.found for m in judged),
        frames_missed=sum(bool(m.true) and not m.found for m in judged),
        frames_false=sum(not m.true and m.found for m in judged),
        frames_right=sum(not m.true and not m.found for m in judged),
        events_found=len(matched),
        events_missed=len(truths) - len(matched),
        events_false=len(false),
        fragments=len(fragments),
        latencies_ms=tuple(_latency(moments, truths[number]) for number in matched),
    )


def _true_events(moments: Sequence[Moment], quiet_ms: int) -> list[Period]:
    merged: list[Period] = []
    for run in _runs([moment.ms for moment in moments if moment.true], quiet_ms):
        if merged:
            between = [m for m in moments if merged[-1].end_ms < m.ms < run.start_ms]
            if all(moment.true is None for moment in between):
                merged[-1] = Period(merged[-1].start_ms, run.end_ms)
                continue
        merged.append(run)
    return merged


def _runs(times: Sequence[int], quiet_ms: int) -> list[Period]:
    runs: list[Period] = []
    for ms in times:
        if runs and ms - runs[-1].end_ms < quiet_ms:
            runs[-1] = Period(runs[-1].start_ms, ms)
        else:
            runs.append(Period(ms, ms))
    return runs


def _match(truths: Sequence[Period], finds: Sequence[Period]) -> dict[int, int]:
    """Number of the true event -> number of the found one."""
    matched: dict[int, int] = {}
    begin = 0
    for number, truth in enumerate(truths):
        for other in range(begin, len(finds)):
            if truth.overlaps(finds[other], _AFTER_MS):
                matched[number] = other
                begin = other + 1
                break
    return matched


def _open(moments: Sequence[Moment], find: Period) -> bool:
    within = [moment for moment in moments if find.start_ms <= moment.ms <= find.end_ms]
    return sum(moment.true is None for moment in within) * 2 > len(within)


def _latency(moments: Sequence[Moment], truth: Period) -> int:
    first = next(m.ms for m in moments if m.found and m.ms >= truth.start_ms)
    return max(0, first - truth.start_ms)


def _f1(found: int, missed: int, false: int) -> float | None:
    total = 2 * found + missed + false
    return 2 * found / total if total else None


def _share(good: int, bad: int) -> float | None:
    return good / (good + bad) if good + bad else None
