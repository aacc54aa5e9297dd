"""What happens in front of the camera, and when: visits, eggs, theft, the door, night, weather, light.

A story is a day of `DAY_S` seconds told again and again, each time differently (seed, number of the day); each day
begins and ends with a quiet, empty box, so any instant can be asked for without playing what came before. In the
first minute of every day all four kinds of bird come by and the door opens, so that whoever starts a camera sees
something. Pure: no pictures here.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import pi, sin

import numpy as np

from roost_henhouse.box import EGG_PLACES
from roost_henhouse.canvas import rng_of
from roost_henhouse.moment import BirdPose, Moment
from roost_henhouse.truth import BIRDS, HENS

DAY_S = 300.0
_NIGHT_FROM = 232.0
_NIGHT_UNTIL = 286.0
_DOOR_SWING_S = 0.9
_LIVELY_S = 60.0  # until then visits are short and follow each other closely
_EGG_TAKEN_S = 0.5  # how long after an egg appears or vanishes the picture counts as moving


@dataclass(frozen=True)
class Visit:
    """A bird's stay from `start` to `end` (seconds of the day)."""

    start: float
    end: float
    kind: str
    individual: int
    from_left: bool
    leaves_left: bool
    spot: float  # share of the picture's width, from the nest's middle
    scale: float
    sits: bool
    pace: float
    egg_at: float | None = None  # laid (hen) or stolen (jay) then


@dataclass(frozen=True)
class Span:
    """Something that lasts from `start` to `end`; `strength` and `number` are its own business."""

    start: float
    end: float
    strength: float = 1.0
    number: int = 0

    def share(self, at: float) -> float | None:
        """How far it is, 0..1, or None when it is not now."""
        return (at - self.start) / (self.end - self.start) if self.start <= at < self.end else None


@dataclass(frozen=True)
class Day:
    """One day's plan. `eggs` are (when, how many from then on)."""

    visits: tuple[Visit, ...]
    doors: tuple[Span, ...]
    eggs: tuple[tuple[float, int], ...]
    rain: tuple[Span, ...]
    insects: tuple[Span, ...]
    leaves: tuple[Span, ...]
    lights: tuple[Span, ...]


class Story:
    """The endless story of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def at(self, seconds: float, nest: tuple[float, float]) -> Moment:
        """The instant `seconds` after the beginning, for a nest at that place (shares of width and height)."""
        number, second = divmod(seconds, DAY_S)
        day = plan_day(self.seed, int(number))
        visit = next((v for v in day.visits if v.start <= second < v.end), None)
        bird = _pose(visit, second, nest) if visit else None
        door = max((_door_position(span, second) for span in day.doors), default=0.0)
        night = _NIGHT_FROM <= second < _NIGHT_UNTIL
        lamp = next((s for s in day.lights if s.share(second) is not None), None)
        changes = [when for when, _ in day.eggs if when > 0 and 0 <= second - when < _EGG_TAKEN_S]
        leaf = next(((s.number, s.share(second) or 0.0) for s in day.leaves if s.share(second) is not None), None)
        return Moment(
            seconds=seconds,
            bird=bird,
            eggs=[count for when, count in day.eggs if when <= second][-1],
            door=door,
            night=night,
            brightness=_daylight(second) * (_ramp(lamp, second) if lamp else 1.0),
            warmth=0.7 if lamp and lamp.strength > 1.15 else 0.0,
            rain=max((s.strength for s in day.rain if s.share(second) is not None), default=0.0),
            insects=tuple(s.number for s in day.insects if s.share(second) is not None),
            leaf=leaf,
            stirring=0.0 < door < 1.0 or bool(changes),
            light_step=any(0 <= second - edge < 0.4 for s in day.lights for edge in (s.start, s.end - 0.3))
            or any(0 <= second - edge < 0.4 for edge in (_NIGHT_FROM, _NIGHT_UNTIL)),
        )


@lru_cache(maxsize=16)
def plan_day(seed: int, number: int) -> Day:
    """Plan one day of a story."""
    rng = rng_of(seed, number, 51)
    visits, doors, eggs = _comings_and_goings(rng)
    # Before the day is over somebody opens the door and takes the eggs out.
    opened = _NIGHT_UNTIL + 2.0
    doors.append(Span(opened, opened + 9.0))
    left = eggs[-1][1]
    eggs.extend((opened + 2.0 + 0.8 * taken, left - taken - 1) for taken in range(left))
    rng = rng_of(seed, number, 52)
    return Day(
        visits=tuple(visits),
        doors=tuple(doors),
        eggs=tuple(eggs),
        rain=_spans(rng, 2, 12, 40, 0.4),
        insects=_spans(rng, 9, 3, 9),
        leaves=_spans(rng, 7, 1.6, 3.2),
        lights=_lights(rng),
    )


def _comings_and_goings(rng: np.random.Generator) -> tuple[list[Visit], list[Span], list[tuple[float, int]]]:
    """Visits, openings of the door and eggs until the night is over."""
    visits: list[Visit] = []
    doors: list[Span] = []
    eggs: list[tuple[float, int]] = [(0.0, 0)]
    at = 2.5  # a motion detector gets a moment to learn what nothing looks like
    while True:
        deck = [str(kind) for kind in rng.permutation(BIRDS)]
        if not visits and deck[0] == "blue_jay":
            deck = [*deck[1:], deck[0]]  # a thief needs something to steal
        for place, kind in enumerate(deck):
            lively = at < _LIVELY_S
            if lively and place == 2:
                opened = at + float(rng.uniform(0.6, 1.2))
                doors.append(Span(opened, opened + float(rng.uniform(7, 9))))
                at = opened + (1.6 if rng.random() < 0.5 else 6.0)
            elif not lively and rng.random() < 0.3:
                opened = at + float(rng.uniform(1, 3))
                doors.append(Span(opened, opened + float(rng.uniform(10, 22))))
            at += float(rng.uniform(1.6, 3.0)) if lively else float(rng.uniform(6, 18))
            if at > _NIGHT_FROM - 14:  # at night one hen may come in to sleep; jays are abed
                kind = str(rng.choice(HENS))
                at = max(at, _NIGHT_FROM + float(rng.uniform(4, 10)))
            long = float(rng.uniform(7.5, 11)) if lively else float(rng.uniform(8, 20))
            if at + long > _NIGHT_UNTIL - 6:
                return visits, doors, eggs
            visits.append(_visit(rng, kind, at, at + long, eggs))
            at = visits[-1].end


def _visit(rng: np.random.Generator, kind: str, start: float, end: float, eggs: list[tuple[float, int]]) -> Visit:
    count = eggs[-1][1]
    egg_at = None
    if kind == "blue_jay":
        if count:
            egg_at = start + (end - start) * float(rng.uniform(0.5, 0.65))
            eggs.append((egg_at, count - 1))
    elif count < EGG_PLACES - 1 and (not count or rng.random() < 0.75):
        egg_at = end - 2.2
        eggs.append((egg_at, count + 1))
    jay = kind == "blue_jay"
    return Visit(
        start=start,
        end=end,
        kind=kind,
        individual=int(rng.integers(1 << 30)),
        from_left=bool(rng.random() < 0.5),
        leaves_left=bool(rng.random() < 0.5),
        spot=float(rng.uniform(-0.16, 0.16)) if jay else float(rng.uniform(-0.05, 0.05)),
        scale=float(rng.uniform(0.85, 1.05)),
        sits=not jay and bool(rng.random() < 0.75),
        pace=float(rng.uniform(0.8, 1.25)),
        egg_at=egg_at,
    )


def _spans(rng: np.random.Generator, count: int, short: float, long: float, weak: float = 1.0) -> tuple[Span, ...]:
    found = []
    for _ in range(count):
        start, length = float(rng.uniform(4, DAY_S - 45)), float(rng.uniform(short, long))
        found.append(Span(start, start + length, float(rng.uniform(weak, 1.0)), int(rng.integers(1 << 30))))
    return tuple(found)


def _lights(rng: np.random.Generator) -> tuple[Span, ...]:
    """A lamp that is switched on, and clouds; never two at once."""
    found = []
    at = float(rng.uniform(16, 34))
    while at < _NIGHT_FROM - 30:
        length = float(rng.uniform(6, 16))
        strength = float(rng.choice([rng.uniform(0.62, 0.8), rng.uniform(1.2, 1.35)]))
        found.append(Span(at, at + length, strength))
        at += length + float(rng.uniform(14, 40))
    return tuple(found)


def _ramp(span: Span, at: float) -> float:
    """A lamp steps within 0.1 s, a cloud passes within 1.2 s."""
    edge = 0.1 if span.strength > 1 else 1.2
    inside = min(1.0, (at - span.start) / edge, (span.end - at) / edge)
    return 1.0 + (span.strength - 1.0) * max(0.0, inside)


def _daylight(second: float) -> float:
    """Slow daylight: noon is brightest; dusk falls before the camera turns to infrared."""
    if _NIGHT_FROM <= second < _NIGHT_UNTIL:
        return 1.0
    dusk = min(1.0, max(0.0, (_NIGHT_FROM - second) / 16)) if second < _NIGHT_FROM else 1.0
    return (1.04 + 0.08 * sin(pi * second / DAY_S)) * (0.5 + 0.5 * dusk)


def _door_position(span: Span, at: float) -> float:
    if not span.start <= at < span.end:
        return 0.0
    return min(1.0, (at - span.start) / _DOOR_SWING_S, (span.end - at) / _DOOR_SWING_S)


def _ease(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def _pose(visit: Visit, at: float, nest: tuple[float, float]) -> BirdPose:
    """Where a visitor is: it walks in from a side, stays with small movements, walks out."""
    jay = visit.kind == "blue_jay"
    walk = 1.3 if jay else 1.9
    here, left = at - visit.start, visit.end - at
    spot = nest[0] + visit.spot
    beyond = 0.12 if jay else 0.26
    outside_in = -beyond if visit.from_left else 1 + beyond
    outside_out = -beyond if visit.leaves_left else 1 + beyond
    arriving, leaving = here < walk, left < walk
    x = spot
    flip = not visit.from_left
    if arriving:
        x = outside_in + (spot - outside_in) * _ease(here / walk)
    elif leaving:
        x = outside_out + (spot - outside_out) * _ease(left / walk)
        flip = visit.leaves_left
    beat = 2 * pi * visit.pace * here
    y = nest[1] + (0.03 if jay else 0.035)
    sit = 0.0
    if arriving or leaving:
        y -= 0.035 * abs(sin(2.2 * beat)) if jay else 0.012 * abs(sin(1.6 * beat))
        lean, nod = 2.0 * sin(1.6 * beat), 7.0 * sin(3.2 * beat)
    else:
        if jay and here > (visit.end - visit.start) * 0.6:
            flip = not flip  # looks about the other way
        sit = _ease(here - walk) * _ease((left - walk) / 0.9) if visit.sits else 0.0
        peck = max(0.0, sin(0.33 * beat + visit.individual % 7)) ** 3
        lean = 1.4 * sin(0.5 * beat) + (8.0 if jay else 3.0) * peck
        nod = 6.0 * sin(0.9 * beat) + (30.0 if jay else 34.0 * (1 - 0.5 * sit)) * peck
        x += 0.004 * sin(0.7 * beat)
    return BirdPose(visit.kind, visit.individual, x, y + 0.08 * sit, visit.scale, flip, lean, nod, nested=sit > 0.5)
