"""The henhouse as a camera sees it: stills by label, and an endless video by frame number.

Both are functions of their arguments alone: the same seed gives the same bytes in every process.
"""

from dataclasses import replace

import numpy as np

from roost_broker.errors import Misuse
from roost_henhouse.box import EGG_PLACES, nest_box
from roost_henhouse.canvas import Picture, check_size, rng_of
from roost_henhouse.moment import BirdPose, Moment
from roost_henhouse.sensor import jpeg_softness
from roost_henhouse.stage import draw
from roost_henhouse.story import Story
from roost_henhouse.truth import BIRDS, LABELS, Truth


class HenhouseScene:
    """A story before a synthetic camera. `frame(i)` may be asked for in any order."""

    def __init__(self, seed: int, width: int = 640, height: int = 480, fps: float = 10) -> None:
        check_size(width, height)
        if not 0 < fps <= 120:
            raise Misuse(f"{fps} frames a second cannot be rendered.", "Use more than 0 and at most 120.")
        rng_of(seed)
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self._story = Story(seed)

    def frame(self, index: int) -> tuple[Picture, Truth]:
        """Frame number `index` (from 0): RGB uint8, height × width × 3, and what is in it."""
        if index < 0:
            raise Misuse(f"There is no frame {index}.", "Frames are counted from 0.")
        box = nest_box(self.seed, self.width, self.height)
        nest = (box.nest[0] / 640, box.nest[1] / 480)
        moment = self._story.at(index / self.fps, nest)
        return draw(moment, seed=self.seed, index=index, width=self.width, height=self.height)


def still(label: str, seed: int, size: tuple[int, int] = (640, 480)) -> tuple[Picture, Truth]:
    """One picture (size: width, height) for which `label` is the answer; everything else varies with `seed`.

    `truth.label` is `label`. Box, straw, light, weather, night, pose, individual and lens are all of that seed.
    """
    if label not in LABELS:
        raise Misuse(f"There is no label {label!r}.", f"Use one of: {', '.join(LABELS)}.")
    width, height = size
    check_size(width, height)
    # A pose can leave too little of a bird in the picture, or an egg below it: take the first that shows the label.
    for attempt in range(8):
        rng = rng_of(seed, LABELS.index(label), attempt, 61)
        moment = _random_moment(label, rng, nest_box(seed, width, height).nest)
        picture, truth = draw(
            moment, seed=seed, index=attempt, width=width, height=height, softness=float(rng.uniform(0, 2))
        )
        if truth.label == label:
            return jpeg_softness(picture, int(rng.integers(70, 96))), replace(truth, index=0)
    raise RuntimeError(f"No still of {label} for seed {seed}: its moments never show it")


def _random_moment(label: str, rng: np.random.Generator, nest: tuple[float, float]) -> Moment:
    night = bool(rng.random() < (0.05 if label == "blue_jay" else 0.2))
    chance = {name: float(rng.random()) for name in ("door", "rain", "insect", "leaf", "lamp", "egg")}
    eggs = {"egg": int(rng.integers(1, EGG_PLACES + 1)), "empty_nest": 0}.get(
        label, int(rng.integers(0, 5)) if chance["egg"] < 0.5 else 0
    )
    if label == "open_door":
        door = 1.0 if chance["door"] < 0.7 else float(rng.uniform(0.5, 1.0))
    else:
        door = float(rng.uniform(0.5, 1.0)) if label in BIRDS and chance["door"] < 0.25 else 0.0
    return Moment(
        seconds=float(rng.uniform(0, 60)),
        bird=_random_pose(label, rng, nest) if label in BIRDS else None,
        eggs=eggs,
        door=door,
        night=night,
        brightness=float(rng.uniform(0.5, 1.3)),
        warmth=float(rng.uniform(0.3, 1.0)) if chance["lamp"] < 0.25 else float(rng.uniform(-0.25, 0.15)),
        rain=float(rng.uniform(0.3, 1.0)) if chance["rain"] < 0.2 else 0.0,
        insects=(int(rng.integers(1 << 30)),) if chance["insect"] < 0.12 else (),
        leaf=(int(rng.integers(1 << 30)), float(rng.uniform(0.1, 0.9))) if chance["leaf"] < 0.1 else None,
    )


def _random_pose(label: str, rng: np.random.Generator, nest: tuple[float, float]) -> BirdPose:
    jay = label == "blue_jay"
    wandering = bool(rng.random() < 0.3)  # on its way in or out, perhaps cut by the edge of the picture
    nested = not jay and not wandering and bool(rng.random() < 0.6)
    x = float(rng.uniform(0.0, 1.0)) if wandering else nest[0] / 640 + float(rng.normal(0, 0.09 if jay else 0.04))
    return BirdPose(
        kind=label,
        individual=int(rng.integers(1 << 30)),
        x=x,
        y=nest[1] / 480 + (0.112 if nested else 0.035) + float(rng.normal(0, 0.012)),
        scale=float(rng.uniform(0.78, 1.12)),
        flip=bool(rng.random() < 0.5),
        lean=float(rng.normal(0, 3)),
        nod=float(rng.choice([rng.normal(0, 6), rng.uniform(10, 40)], p=[0.65, 0.35])),
        nested=nested,
    )
