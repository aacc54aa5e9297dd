"""The nest box without its visitors: boards, straw, eggs and the sliding door to the run.

Everything that stays put is drawn once for a box and kept; `NestBox.picture` puts door and eggs together.
Design coordinates are those of a 640×480 picture and are stretched to the size asked for.
"""

from functools import lru_cache

import cv2
import numpy as np

from roost_henhouse.canvas import (
    Field,
    Picture,
    Point,
    Sprite,
    cloud_noise,
    curve,
    cut_out,
    fill,
    mask_of,
    paste,
    rng_of,
    shrink,
    stroke,
    to_picture,
)

EGG_PLACES = 6  # as many eggs as a nest shows
_DOOR_STEPS = 8  # positions of the door that are drawn

_WALL = (96, 40, 448, 292)  # back wall: left, top, width, height
_LIP_TOP = 446  # the board in front
_NEST = (126, 46)  # half width and half height of the nest's bowl


class NestBox:
    """One box: its wood, its straw and where its door is vary with `seed`."""

    def __init__(self, seed: int, width: int, height: int) -> None:
        rng = rng_of(seed, 21)
        self.width, self.height = width, height
        self._kx, self._ky = width / 640, height / 480
        self.door_right = bool(rng.random() < 0.5)
        door_width = int(rng.integers(112, 136))
        left = (
            _WALL[0] + _WALL[2] - door_width - int(rng.integers(22, 50))
            if self.door_right
            else _WALL[0] + int(rng.integers(22, 50))
        )
        self._door = (left, _WALL[1] + int(rng.integers(34, 60)), door_width, int(rng.integers(176, 204)))
        self.nest: Point = ((250.0 if self.door_right else 390.0) + float(rng.uniform(-26, 26)), 382.0)
        self._wood = np.asarray(_WOODS[int(rng.integers(len(_WOODS)))], np.float32) * np.float32(rng.uniform(0.9, 1.1))
        self._straw = np.asarray(_STRAWS[int(rng.integers(len(_STRAWS)))], np.float32)
        self._boards = self._draw_boards(rng)
        self._outside = self._draw_outside(rng)
        self._leaf = self._draw_door_leaf(rng)
        self.rim = self._draw_straw(rng)
        self._egg_sprites = [self._draw_egg(rng) for _ in range(EGG_PLACES)]
        self._egg_places = self._choose_egg_places(rng)
        self.lip = np.ascontiguousarray(self._boards[round(_LIP_TOP * self._ky) :])
        self._kept: dict[tuple[int, int, bool], Picture] = {}

    # -- asked for by a scene ---------------------------------------------------------------------------------

    def picture(self, door: float, eggs: int, night: bool) -> Picture:
        """The box with the door `door` (0..1) open and so many eggs. Shared: copy it before drawing on it."""
        step = round(door * _DOOR_STEPS)
        key = (step, eggs, night)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) > 24:
                self._kept.clear()
            kept = self._kept[key] = self._compose(step / _DOOR_STEPS, eggs, night)
        return kept

    def door_box(self, door: float) -> tuple[int, int, int, int]:
        """Where the outside is seen: left, top, width, height in pixels."""
        left, top, width, height = self._scaled(self._door)
        shown = round(height * round(door * _DOOR_STEPS) / _DOOR_STEPS)
        return left, top + height - shown, width, shown

    def egg_boxes(self, eggs: int) -> list[tuple[int, int, int, int]]:
        """Where the eggs lie: left, top, width, height in pixels."""
        return [
            (x, y, sprite.width, sprite.height)
            for (x, y), sprite in zip(self._egg_places[:eggs], self._egg_sprites, strict=False)
        ]

    # -- drawn once -------------------------------------------------------------------------------------------

    def _at(self, x: float, y: float) -> Point:
        return (x * self._kx, y * self._ky)

    def _scaled(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        x, y, w, h = box
        return round(x * self._kx), round(y * self._ky), round(w * self._kx), round(h * self._ky)

    def _grain(self, rng: np.random.Generator, width: int, height: int, along_x: bool) -> Field:
        """Wood grain: noise stretched along the board."""
        rows, columns = (height, max(4, width // 12)) if along_x else (max(4, height // 12), width)
        fine = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        return np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    def _draw_boards(self, rng: np.random.Generator) -> Picture:
        picture = np.empty((self.height, self.width, 3), np.float32)
        picture[:] = self._wood * 0.72
        picture += (self._grain(rng, self.width, self.height, True) * 3.0)[:, :, None]
        picture += (cloud_noise(rng, self.height, self.width, 70 * self._ky) * 7.0)[:, :, None]
        shade_of = np.ones((self.height, self.width, 1), np.float32)
        left, top, wide, high = _WALL
        right, bottom = left + wide, top + high
        for outline, shade in (
            ([(0, 0), (640, 0), (right, top), (left, top)], 0.5),
            ([(0, 0), (left, top), (left, bottom), (0, 460)], 0.84),
            ([(640, 0), (right, top), (right, bottom), (640, 460)], 0.66),
            ([(0, 460), (left, bottom), (right, bottom), (640, 460), (640, 480), (0, 480)], 0.6),
        ):
            mask = mask_of((self.height, self.width), [self._at(*point) for point in outline]) > 127
            shade_of[mask] = shade / 0.72
        out = to_picture(picture * shade_of)
        boards = int(rng.integers(3, 6))
        for number in range(1, boards):  # joints of the back wall
            y = top + high * number / boards + float(rng.uniform(-4, 4))
            stroke(out, [self._at(left, y), self._at(right, y + rng.uniform(-1, 1))], self._wood * 0.38, 2 * self._ky)
        for corner, end in (((0, 0), (left, top)), ((640, 0), (right, top)), ((640, 460), (right, bottom)),
                            ((0, 460), (left, bottom))):  # fmt: skip
            stroke(out, [self._at(*corner), self._at(*end)], self._wood * 0.35, 2 * self._ky)
        for _ in range(int(rng.integers(2, 6))):  # knots and nail heads
            x, y = rng.uniform(left, right), rng.uniform(top, bottom - 60)
            spot = curve([(x - 4, y), (x, y - 3), (x + 4, y), (x, y + 3)]) * [self._kx, self._ky]
            fill(out, spot, self._wood * 0.4)
        lip = round(_LIP_TOP * self._ky)
        out[lip:] = to_picture(
            self._wood * 0.95 + (self._grain(rng, self.width, self.height - lip, True) * 5)[:, :, None]
        )
        out[lip : lip + max(1, round(3 * self._ky))] = to_picture(
            np.broadcast_to(self._wood * np.float32(1.2), (max(1, round(3 * self._ky)), self.width, 3))
        )
        return out

    def _draw_outside(self, rng: np.random.Generator) -> Picture:
        _, _, width, height = self._scaled(self._door)
        sky, grass = np.asarray((206, 226, 246), np.float32), np.asarray((118, 168, 76), np.float32)
        horizon = float(rng.uniform(0.35, 0.6))
        share = np.clip((np.linspace(0, 1, height, dtype=np.float32) - horizon) * 12 + 0.5, 0, 1)[:, None, None]
        view = sky * (1 - share) + grass * share + (cloud_noise(rng, height, width, 9 * self._ky) * 16)[:, :, None]
        out = to_picture(np.asarray(view, np.float32))
        for _ in range(3):  # a fence in the run
            x = float(rng.uniform(0, width))
            stroke(out, [(x, height * (horizon - 0.14)), (x, height * (horizon + 0.2))], (150, 126, 96), 4 * self._kx)
        stroke(out, [(0, height * horizon), (width, height * horizon)], (160, 136, 104), 3 * self._ky)
        return out

    def _draw_door_leaf(self, rng: np.random.Generator) -> Picture:
        _, _, width, height = self._scaled(self._door)
        tone = self._wood * np.float32(rng.uniform(0.5, 0.62)) + np.asarray((16, 8, 0), np.float32)
        leaf = to_picture(tone + (self._grain(rng, width, height, False) * 5)[:, :, None])
        for share in (0.33, 0.66):
            stroke(leaf, [(width * share, 0), (width * share, height)], tone * 0.6, 2 * self._kx)
        for share in (0.2, 0.8):
            stroke(leaf, [(0, height * share), (width, height * share)], tone * 1.25, 9 * self._ky)
        return leaf

    def _stems(self, target: Picture, rng: np.random.Generator, count: int, ring: bool, tone: float) -> None:
        """Scatter straw: over the floor, or in a ring around the nest."""
        cx, cy = self.nest
        angle = rng.uniform(0, 2 * np.pi, count)
        if ring:
            radius = rng.normal(1.0, 0.12, count)
            x, y = cx + np.cos(angle) * _NEST[0] * radius, cy + np.sin(angle) * _NEST[1] * radius
            slope = angle + np.pi / 2 + rng.normal(0, 0.5, count)
        else:
            depth = rng.uniform(0, 1, count) ** 0.7
            y = 336 + depth * 112
            x = 320 + rng.uniform(-1, 1, count) * (226 + depth * 92)
            slope = rng.uniform(0, np.pi, count)
        length = rng.uniform(10, 30, count)
        colours = self._straw * (tone * rng.uniform(0.66, 1.25, (count, 1))).astype(np.float32)
        for i in range(count):
            dx, dy = np.cos(slope[i]) * length[i] / 2, np.sin(slope[i]) * length[i] * 0.28
            stroke(target, [self._at(x[i] - dx, y[i] - dy), self._at(x[i] + dx, y[i] + dy)], colours[i], 2 * self._ky)

    def _draw_straw(self, rng: np.random.Generator) -> Sprite:
        """Straw on the floor and the nest's bowl, drawn into the boards; returns the front rim, which hides feet."""
        floor = [self._at(*p) for p in ((96, 332), (544, 332), (640, 456), (0, 456))]
        fill(self._boards, floor, self._straw * 0.62)
        self._stems(self._boards, rng, 420, ring=False, tone=0.86)
        cx, cy = self.nest
        bowl = curve([(cx - 112, cy), (cx, cy - 38), (cx + 112, cy), (cx, cy + 38)]) * [self._kx, self._ky]
        shadow = mask_of((self.height, self.width), bowl).astype(np.float32)
        blurred = cv2.GaussianBlur(shadow, (0, 0), max(1.0, 10 * self._ky)) / 255
        self._boards = to_picture(self._boards * (1 - 0.5 * blurred)[:, :, None])
        self._stems(self._boards, rng, 260, ring=True, tone=1.0)
        lip = round(_LIP_TOP * self._ky)
        # What lies in front of the nest's middle line is laid over a sitting bird again.
        front = np.zeros((self.height, self.width), np.uint8)
        outer = curve([(cx - 136, cy + 8), (cx, cy - 10), (cx + 136, cy + 8), (cx, cy + 64)]) * [self._kx, self._ky]
        inner = curve([(cx - 104, cy - 6), (cx, cy - 44), (cx + 104, cy - 6), (cx, cy + 27)]) * [self._kx, self._ky]
        fill(front, outer, (255,))
        fill(front, inner, (0,))
        front[lip:] = 0
        front = np.asarray(cv2.GaussianBlur(front, (0, 0), max(0.6, 2.0 * self._ky)), np.uint8)
        # The boards have been painted over the lip by straw that hangs forward; that is wanted, as in a real box.
        first = int(np.flatnonzero(front.any(axis=1))[0])
        self.rim_top = first
        return cut_out(self._boards[first:lip], front[first:lip])

    def _draw_egg(self, rng: np.random.Generator) -> Sprite:
        fine, scale = 2.0, min(self._kx, self._ky)
        k = fine * scale
        size = (max(6, round(36 * k)), max(6, round(46 * k)))
        colour = np.asarray(_SHELLS[int(rng.integers(len(_SHELLS)))], np.float32) * np.float32(rng.uniform(0.95, 1.05))
        y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
        u, v = (x / size[1] - 0.5) / 0.44, (y / size[0] - 0.5) / 0.44
        v = v * (1 + 0.22 * u)  # one end is blunter
        far = u * u + v * v
        light = 0.70 + 0.42 * np.clip(1 - ((u + 0.3) ** 2 + (v + 0.45) ** 2) / 1.9, 0, 1)
        mask = np.clip((1 - far) * 0.5 * min(size) / 2, 0, 1) * 255
        turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), float(rng.uniform(-30, 30)), 1.0)
        egg = cut_out(np.asarray(colour * light[:, :, None], np.float32), mask.astype(np.uint8))
        return shrink(egg.warped(np.asarray(turn), size[1], size[0]), fine)

    def _choose_egg_places(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        cx, cy = self.nest
        spread = [(-34, -6), (8, 4), (44, -8), (-12, -20), (28, -24), (-58, 6)]
        order = rng.permutation(EGG_PLACES)
        return [
            (round((cx + spread[i][0] + rng.uniform(-5, 5) - 23) * self._kx),
             round((cy + spread[i][1] + rng.uniform(-3, 3) - 22) * self._ky))
            for i in order
        ]  # fmt: skip

    # -- put together -----------------------------------------------------------------------------------------

    def _compose(self, door: float, eggs: int, night: bool) -> Picture:
        picture = self._boards.copy()
        left, top, width, height = self._scaled(self._door)
        hole = picture[top : top + height, left : left + width]
        lifted = round(height * door)
        hole[:] = to_picture(self._outside * np.float32(0.07)) if night else self._outside
        if lifted < height:
            hole[: height - lifted] = self._leaf[lifted:]
        frame = [
            (left, top + height),
            (left, top),
            (left + width, top),
            (left + width, top + height),
            (left, top + height),
        ]
        stroke(picture, frame, self._wood * 0.5, 5 * self._ky)
        if door > 0 and not night:
            picture = self._daylight(picture, door)
        for (x, y), sprite in zip(self._egg_places[:eggs], self._egg_sprites, strict=False):
            paste(picture, sprite, x, y)
        return picture

    def _daylight(self, picture: Picture, door: float) -> Picture:
        """Light that falls through the open door: a patch on the straw and a glow around the hole."""
        left, top, width, height = self._door
        middle, low = left + width / 2, top + height
        patch = [
            (left, low),
            (left + width, low),
            (middle + width * 0.95, low + 150),
            (middle - width * 0.95, low + 150),
        ]
        light = mask_of((self.height, self.width), [self._at(*p) for p in patch]).astype(np.float32) / 255
        glow = curve([(left - 60, top + height / 2), (middle, top - 40), (left + width + 60, top + height / 2),
                      (middle, low + 60)]) * [self._kx, self._ky]  # fmt: skip
        light = 0.45 * light + 0.22 * mask_of((self.height, self.width), glow).astype(np.float32) / 255
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), max(1.0, 12 * self._ky)), np.float32)
        x, y, w, h = self.door_box(door)
        light[y : y + h, x : x + w] = 0
        return to_picture(np.asarray(picture * (1.0 + door * light)[:, :, None], np.float32))


@lru_cache(maxsize=4)
def nest_box(seed: int, width: int, height: int) -> NestBox:
    """The box of a seed, kept for the next picture of the same scene."""
    return NestBox(seed, width, height)


_WOODS = ((176, 160, 146), (168, 138, 108), (196, 182, 168), (150, 128, 104), (166, 156, 152))
_STRAWS = ((214, 184, 116), (200, 172, 104), (206, 196, 172), (196, 160, 92))
_SHELLS = ((226, 186, 152), (204, 148, 112), (238, 222, 204), (216, 168, 136))
