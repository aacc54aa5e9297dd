"""Clips with truth for `motion`: rendered ones of any seed, and real pictures composed into clips where they are there.

Every clip is written once as lossless video, so that all detectors see the same pixels. Below the picture is a strip
with the number of the frame: detectors that are whole programs tell which frames they chose by the pictures they keep.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roost_henhouse.box import nest_box
from roost_henhouse.moment import BirdPose, Moment
from roost_henhouse.stage import draw
from roost_henhouse.story import Story
from roost_henhouse.truth import BIRDS

FPS = 10
WIDTH, HEIGHT = 640, 480
STRIP = 16
_BITS = 16
_LEARNING_FRAMES = 15
"""Detectors may learn so long; the truth of these frames is open."""

Picture = Any  # numpy arrays of OpenCV, whose stubs do not agree with each other
Look = tuple[Picture, bool | None]
Alter = Callable[[Moment, int], Moment]
After = Callable[[Picture, int], Picture]


@dataclass(frozen=True)
class Clip:
    """A film: `frames()` yields RGB pictures with their truth (see `roost_edge.motion.score`)."""

    name: str
    what: str
    frames: Callable[[], Iterator[Look]]
    steps_only: bool = False
    """Nothing but light changes in it: no event is the only right answer."""


def rendered(seed: int, seconds: int) -> list[Clip]:
    """The clips of one seed."""
    rng = np.random.default_rng((seed, 1))
    steps = [float(level) for level in rng.uniform(0.55, 1.4, 40)]
    lengths = np.cumsum(rng.uniform(2.5, 5.5, 40)) + 2
    sweep = _Shadow(seed)

    def stepping(moment: Moment, index: int) -> Moment:
        return replace(moment, brightness=steps[int(np.searchsorted(lengths, index / FPS))])

    def alone(moment: Moment, index: int) -> Moment:
        at = index / FPS
        night = 0.45 * seconds < at < 0.6 * seconds
        return replace(Moment(seconds=at, night=night), brightness=stepping(moment, index).brightness)

    def flicker(moment: Moment, index: int) -> Moment:
        wobble = 1 + 0.09 * float(np.random.default_rng((seed, index, 2)).uniform(-1, 1))
        return replace(moment, brightness=moment.brightness * wobble)

    def same(moment: Moment, _index: int) -> Moment:
        return moment

    def clip(name: str, what: str, alter: Alter = same, after: After | None = None, start: float = 0) -> Clip:
        return Clip(name, what, lambda: _story(seed, seconds, alter, after, start))

    def wet(moment: Moment, _index: int) -> Moment:
        return replace(moment, rain=0.9)

    return [
        clip("visits", "birds, the door, insects, leaves, a lamp, clouds"),
        clip("night", "dusk, the camera's change to infrared, a hen at night", start=205),
        clip("rain", "the same with heavy rain throughout", wet),
        clip("noise", "the same from a sensor at high gain", after=lambda p, i: _noisy(p, seed, i, 13)),
        clip("flicker", "the same in a lamp that flickers by 9 %", flicker),
        clip("sway", "the same with a plant that sways in a corner", after=_Sway(seed)),
        clip("shade", "the same with shadows that pass over the box", after=sweep),
        clip("steps+", "the same while the light jumps every few seconds", stepping),
        Clip("steps", "an empty box while the light jumps", lambda: _story(seed, seconds, alone, None, 0), True),
        Clip("small", "small birds of low contrast before a noisy wall, insects", lambda: _small(seed, seconds)),
    ]


def real(seed: int, seconds: int) -> list[Clip]:
    """Composed from photographs; none where the shared pictures are not there."""
    folder = Path(os.environ.get("ROOST_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    boxes = sorted((folder / "henhouse-cc0" / "images").glob("*.jpg"))
    traps = sorted((folder / "images" / "camera-trap").glob("blank*.jpg"))
    birds = [folder / "images" / name for name in ("bluejay.jpg", "bird.bmp")]
    if not boxes or not traps or not all(bird.is_file() for bird in birds):
        return []
    cut = [_cut_out(path) for path in birds]
    empty = folder / "henhouse-cc0" / "images" / "EggCheck_image_2016-06-18_1100.jpg"
    found = []
    for name, path, high, steps in (
        ("real box", empty, 150, False),
        ("real box+", empty, 150, True),
        ("real wood", traps[1 % len(traps)], 70, True),
        ("real night", traps[-1], 90, False),
    ):
        what = f"photographed birds {high} pixels high before {path.name}" + (", light steps" if steps else "")
        background = cv2.resize(cv2.imread(str(path))[:, :, ::-1], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        found.append(
            Clip(name, what, lambda b=background, h=high, s=steps: _composed(b, cut, seed, seconds, h, s))  # type: ignore[misc]  # bound in the loop
        )
    return found


def write(clip: Clip, path: Path) -> list[bool | None]:
    """Write the film (FFV1) with its strip of numbers; returns the truth of every frame."""
    film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), FPS, (WIDTH, HEIGHT + STRIP))
    truths: list[bool | None] = []
    for index, (picture, truth) in enumerate(clip.frames()):
        film.write(np.vstack([picture, _strip(index)])[:, :, ::-1])
        truths.append(truth if index >= _LEARNING_FRAMES else None)
    film.release()
    return truths


def read(path: Path) -> Iterator[Picture]:
    """The pictures of a film that `write` wrote, RGB, without the strip."""
    film = cv2.VideoCapture(str(path))
    while True:
        good, picture = film.read()
        if not good:
            film.release()
            return
        yield np.ascontiguousarray(picture[:HEIGHT, :, ::-1])


def number_of(picture: Picture) -> int:
    """The number in the strip of a picture that a detector kept, however it was encoded."""
    strip = picture[HEIGHT + 4 : HEIGHT + STRIP - 4].mean(axis=(0, 2))
    bits = strip.reshape(_BITS, -1).mean(axis=1) > 127
    return int(sum(1 << place for place, bit in enumerate(bits) if bit))


def _strip(index: int) -> Picture:
    bits = np.array([(index >> place) & 1 for place in range(_BITS)], np.uint8) * 255
    row = np.repeat(bits, WIDTH // _BITS)
    return np.repeat(np.repeat(row[None, :, None], STRIP, axis=0), 3, axis=2)


def _story(seed: int, seconds: int, alter: Alter, after: After | None, start: float) -> Iterator[Look]:
    story, box = Story(seed), nest_box(seed, WIDTH, HEIGHT)
    nest = box.nest[0] / 640, box.nest[1] / 480
    for index in range(seconds * FPS):
        moment = alter(story.at(start + index / FPS, nest), index)
        picture, truth = draw(moment, seed=seed, index=index, width=WIDTH, height=HEIGHT)
        birds = [found.visible for found in truth.boxes if found.label in BIRDS]
        there: bool | None = moment.stirring or max(birds, default=0.0) >= 0.25
        if not there and (birds or truth.door > 0):
            there = None  # on the rim; or the door stands open, and whether that is news is a matter of taste
        yield (after(picture, index) if after else picture), there


def _small(seed: int, seconds: int) -> Iterator[Look]:
    rng = np.random.default_rng((seed, 3))
    visits = _visits(rng, seconds)
    flies = tuple(int(number) for number in rng.integers(1 << 30, size=3))
    for index in range(seconds * FPS):
        at = index / FPS
        here = next((visit for visit in visits if visit.start <= at < visit.end), None)
        empty = Moment(seconds=at, eggs=2, insects=flies if int(at) % 7 < 3 else ())
        picture, _ = draw(empty, seed=seed, index=index, width=WIDTH, height=HEIGHT)
        there: bool | None = False
        if here is not None:
            x, y = here.place(at)
            pose = BirdPose(here.kind, here.number, x, y, here.scale, flip=here.backwards, nod=8 * np.sin(7 * at))
            shown, truth = draw(replace(empty, bird=pose), seed=seed, index=index, width=WIDTH, height=HEIGHT)
            picture = _faint(picture, shown, here.contrast)
            seen = max((box.visible for box in truth.boxes if box.label in BIRDS), default=0.0)
            there = True if seen >= 0.5 else None
        yield _noisy(picture, seed, index, 4), there


def _faint(empty: Picture, shown: Picture, contrast: float) -> Picture:
    """The bird in colours nearer to those round it; it still hides what is behind it."""
    bird = cv2.absdiff(shown, empty).max(axis=2) > 6
    alpha = cv2.GaussianBlur(bird.astype(np.float32), (3, 3), 0)[:, :, None]
    pale = cv2.addWeighted(shown, contrast, cv2.blur(empty, (41, 41)), 1 - contrast, 0)
    return (pale * alpha + empty * (1 - alpha)).astype(np.uint8)


@dataclass(frozen=True)
class _Visit:
    """A small bird's way through the picture: in, a halt with hops, out."""

    start: float
    end: float
    kind: str
    number: int
    scale: float
    contrast: float
    height: float
    halt: float
    backwards: bool

    def place(self, at: float) -> tuple[float, float]:
        share = (at - self.start) / (self.end - self.start)
        if share < 0.3:
            x = -0.1 + (self.halt + 0.1) * share / 0.3
        elif share > 0.7:
            x = self.halt + (1.1 - self.halt) * (share - 0.7) / 0.3
        else:
            x = self.halt + 0.03 * np.sin(5 * at)
        y = self.height - 0.02 * abs(np.sin(9 * at))
        return float(1 - x if self.backwards else x), float(y)


def _visits(rng: np.random.Generator, seconds: int) -> list[_Visit]:
    visits, at = [], 3.0
    while True:
        at += float(rng.uniform(3, 5.5))
        long = float(rng.uniform(3, 6))
        if at + long > seconds - 1:
            return visits
        visits.append(
            _Visit(
                start=at,
                end=at + long,
                kind=str(rng.choice(BIRDS)),
                number=int(rng.integers(1 << 30)),
                scale=float(rng.uniform(0.18, 0.34)),
                contrast=float(rng.uniform(0.35, 0.7)),
                height=float(rng.uniform(0.35, 0.85)),
                halt=float(rng.uniform(0.25, 0.75)),
                backwards=bool(rng.random() < 0.5),
            )
        )
        at += long


def _noisy(picture: Picture, seed: int, index: int, sigma: float) -> Picture:
    noise = np.empty(picture.shape, np.int16)
    cv2.setRNGSeed(seed * 100_003 + index)
    cv2.randn(noise, 0, sigma)
    return cv2.add(picture, noise, dtype=cv2.CV_8U)


class _Sway:
    """A bush in a corner, which moves in the wind."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 4))
        leaves = cv2.resize(rng.uniform(0, 1, (24, 22)).astype(np.float32), (220, 240), interpolation=cv2.INTER_CUBIC)
        self._leaves = np.clip(40 + 110 * leaves[:, :, None] * np.array([0.6, 1.0, 0.4]), 0, 255).astype(np.uint8)
        y, x = np.mgrid[0:240, 0:220].astype(np.float32)
        self._alpha = np.clip(1.6 - np.hypot((x - 60) / 120, (y - 90) / 130) * 1.5, 0, 1)[:, :, None]
        self._grid = x, y

    def __call__(self, picture: Picture, index: int) -> Picture:
        x, y = self._grid
        at = index / FPS
        push = (2.5 + 1.5 * np.sin(0.4 * at)) * np.sin(3.1 * at + y / 60)
        moved = cv2.remap(self._leaves, x + push.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture = picture.copy()
        corner = picture[:240, :220]
        corner[:] = (self._alpha * moved + (1 - self._alpha) * corner).astype(np.uint8)
        return picture


class _Shadow:
    """A soft shadow of a third of the picture's width that crosses it now and then."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 5))
        self._starts = 4 + np.cumsum(rng.uniform(7, 12, 20))
        self._x = np.arange(WIDTH, dtype=np.float32)[None, :]
        self._slant = np.arange(HEIGHT, dtype=np.float32)[:, None] * 0.3

    def __call__(self, picture: Picture, index: int) -> Picture:
        since = index / FPS - self._starts
        now = since[(since >= 0) & (since < 3)]
        if not now.size:
            return picture
        middle = -320 + (WIDTH + 640) * float(now[0]) / 3
        inside = np.clip((130 - np.abs(self._x + self._slant - 70 - middle)) / 30, 0, 1)
        return (picture * (1 - 0.35 * inside)[:, :, None]).astype(np.uint8)


def _cut_out(path: Path) -> Picture:
    """The bird of a photograph as RGBA, its surroundings removed."""
    picture = cv2.imread(str(path))
    picture = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.setRNGSeed(7)
    cv2.grabCut(picture, mask, (5, 45, 305, 150), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_RECT)
    alpha = cv2.GaussianBlur(((mask & 1) * 255).astype(np.uint8), (5, 5), 0)
    rows, columns = np.nonzero(alpha > 127)
    whole = np.dstack([picture[:, :, ::-1], alpha])
    return whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _composed(
    background: Picture, birds: list[Picture], seed: int, seconds: int, high: int, steps: bool
) -> Iterator[Look]:
    rng = np.random.default_rng((seed, 6))
    visits = _visits(rng, seconds)
    levels = rng.uniform(0.6, 1.35, 40)
    changes = 5 + np.cumsum(rng.uniform(4, 7, 40))
    for index in range(seconds * FPS):
        at = index / FPS
        picture, there = background.copy(), False
        here = next((visit for visit in visits if visit.start <= at < visit.end), None)
        if here is not None:
            bird = birds[here.number % len(birds)]
            size = round(bird.shape[1] * high / bird.shape[0] * here.scale * 3), round(high * here.scale * 3)
            bird = cv2.resize(bird[:, ::-1] if here.backwards else bird, size, interpolation=cv2.INTER_AREA)
            x, y = here.place(at)
            there = _paste(picture, bird, round(x * WIDTH - size[0] / 2), round(y * HEIGHT - size[1]))
        level = float(levels[int(np.searchsorted(changes, at))]) if steps else 1 + 0.05 * float(np.sin(at / 6))
        yield _noisy(cv2.convertScaleAbs(picture, alpha=level), seed, index, 3), there


def _paste(picture: Picture, bird: Picture, left: int, top: int) -> bool | None:
    high, wide = bird.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + wide), min(HEIGHT, top + high)
    if x1 <= x0 or y1 <= y0:
        return None
    part = bird[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
    alpha = part[:, :, 3:] / 255
    spot = picture[y0:y1, x0:x1]
    spot[:] = (part[:, :, :3] * alpha + spot * (1 - alpha)).astype(np.uint8)
    return True if (x1 - x0) * (y1 - y0) > 0.5 * wide * high else None
