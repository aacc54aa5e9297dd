"""Draws a moment: the box, the bird, the weather and what the camera makes of them, with the truth beside it."""

from functools import lru_cache

import cv2
import numpy as np

from roost_henhouse import sensor, weather
from roost_henhouse.birds import Bird, draw_bird
from roost_henhouse.box import NestBox, nest_box
from roost_henhouse.canvas import Picture, Sprite, paste
from roost_henhouse.moment import BirdPose, Moment
from roost_henhouse.truth import BIRDS, Box, Truth, labels_that_hold

_JAY_SIZE = 0.86
_HIDDEN = 160  # alpha of the bird above an egg's middle from which on the egg is not seen
_MAY_BE_HIDDEN = 0.55  # an egg of which more than this is under the bird does not count


def draw(
    moment: Moment, *, seed: int, index: int, width: int, height: int, softness: float = 1.0
) -> tuple[Picture, Truth]:
    """Draw one moment of the box of `seed`; `index` names its noise and its rain."""
    box = nest_box(seed, width, height)
    picture = box.picture(moment.door, moment.eggs, moment.night).copy()
    boxes: list[Box] = []
    bird_layer: tuple[Sprite, int, int] | None = None
    if moment.bird is not None:
        bird_layer = _place(moment.bird, width, height)
        _shadow(picture, moment.bird, width, height)
        paste(picture, *bird_layer)
        if moment.bird.nested:
            paste(picture, box.rim, 0, box.rim_top)
        picture[-box.lip.shape[0] :] = box.lip
        found = _bird_box(moment.bird.kind, *bird_layer, width, height - box.lip.shape[0])
        boxes += [found] if found else []
    boxes += _egg_boxes(box, moment.eggs, bird_layer)
    if moment.door > 0:
        left, top, wide, high = box.door_box(moment.door)
        if high > 0:
            boxes.append(Box("open_door", left, top, wide, high, round(min(1.0, moment.door), 3)))
    if moment.leaf is not None:
        weather.leaf(picture, *moment.leaf)
    for number in moment.insects:
        weather.insect(picture, number, moment.seconds)
    if moment.rain > 0:
        weather.rain(picture, seed, index, moment.rain)
    seen = sensor.expose(
        picture,
        brightness=moment.brightness,
        warmth=moment.warmth,
        night=moment.night,
        softness=softness,
        seed=seed,
        index=index,
    )
    labels = labels_that_hold(tuple(boxes))
    distractions = (
        ("rain", moment.rain > 0),
        ("insect", bool(moment.insects)),
        ("leaf", moment.leaf is not None),
        ("light", moment.light_step),
    )
    return seen, Truth(
        index=index,
        seconds=round(moment.seconds, 4),
        label=labels[0],
        labels=labels,
        boxes=tuple(boxes),
        moving=moment.stirring or any(box.label in BIRDS for box in boxes),
        weather="rain" if moment.rain > 0 else "dry",
        light="night" if moment.night else "day",
        brightness=round(moment.brightness, 4),
        door=round(moment.door, 4),
        eggs=moment.eggs,
        distractions=tuple(name for name, now in distractions if now),
    )


@lru_cache(maxsize=8)
def _bird(kind: str, individual: int, scale_percent: int) -> Bird:
    return draw_bird(kind, individual, scale_percent / 100)


def _size(pose: BirdPose, width: int, height: int) -> int:
    """Picture pixels per design pixel of the bird, in percent."""
    unit = min(width / 640, height / 480)
    return max(8, round(100 * unit * pose.scale * (_JAY_SIZE if pose.kind == "blue_jay" else 1.0)))


def _place(pose: BirdPose, width: int, height: int) -> tuple[Sprite, int, int]:
    bird = _bird(pose.kind, pose.individual, _size(pose, width, height))
    sprite = bird.posed(lean=pose.lean, nod=pose.nod, flip=pose.flip, sits=pose.nested)
    foot_x = sprite.width - 1 - bird.feet[0] if pose.flip else bird.feet[0]
    return sprite, round(pose.x * width - foot_x), round(pose.y * height - bird.feet[1])


def _shadow(picture: Picture, pose: BirdPose, width: int, height: int) -> None:
    """A soft dark ellipse on the straw below the bird."""
    unit = _size(pose, width, height) / 100
    across, deep = (52, 9) if pose.kind == "blue_jay" else (100, 20)
    half_w, half_h = max(2, round(across * unit)), max(1, round(deep * unit))
    x, y = round(pose.x * width), round(pose.y * height - (28 * unit if pose.nested else 0))
    shade = np.zeros((4 * half_h, 4 * half_w), np.uint8)
    cv2.ellipse(shade, (2 * half_w, 2 * half_h), (half_w, half_h), 0, 0, 360, (120.0,), -1)
    shade = np.asarray(cv2.blur(shade, (2 * half_h + 1, 2 * half_h + 1)), np.uint8)
    zeros = np.zeros_like(shade)
    paste(picture, Sprite(np.dstack([zeros, zeros, zeros, shade])), x - 2 * half_w, y - 2 * half_h)


def _bird_box(kind: str, sprite: Sprite, x: int, y: int, width: int, floor: int) -> Box | None:
    """The part of a bird inside the picture and above the front board."""
    alpha = sprite.rgba[:, :, 3] > 127
    whole = int(np.count_nonzero(alpha))
    left, top = max(0, -x), max(0, -y)
    inside = alpha[top : max(top, floor - y), left : max(left, width - x)]
    shown = int(np.count_nonzero(inside))
    if whole == 0 or shown == 0:
        return None
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return Box(
        kind,
        x + left + int(columns[0]),
        y + top + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
        round(shown / whole, 3),
    )


def _egg_boxes(box: NestBox, eggs: int, bird: tuple[Sprite, int, int] | None) -> list[Box]:
    found = []
    for left, top, wide, high in box.egg_boxes(eggs):
        hidden = 0.0
        if bird is not None:
            sprite, x, y = bird
            rows = slice(max(0, top - y), max(0, top + high - y))
            columns = slice(max(0, left - x), max(0, left + wide - x))
            covered = np.count_nonzero(sprite.rgba[rows, columns, 3] > _HIDDEN)
            hidden = covered / (wide * high)
        if hidden <= _MAY_BE_HIDDEN:
            found.append(Box("egg", left, top, wide, high, round(1 - hidden, 3)))
    return found
