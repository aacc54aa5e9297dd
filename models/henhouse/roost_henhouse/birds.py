"""The birds, drawn: two sprites each (body, head) that turn about the neck, facing right.

Coordinates are design pixels: those of a 640×480 picture. Sprites are drawn larger than needed and shrunk.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from roost_henhouse import palette
from roost_henhouse.canvas import (
    Field,
    Matrix,
    Picture,
    Point,
    Sprite,
    cloud_noise,
    curve,
    cut_out,
    fill,
    mask_of,
    over,
    rng_of,
    shrink,
    stroke,
)

_FINE = 1.5  # supersampling

_HEN_CANVAS = (320, 290)
_HEN_BODY: tuple[Point, ...] = (
    (22, 92), (16, 66), (38, 52), (64, 66), (86, 104), (124, 122), (166, 116), (200, 104), (232, 128), (246, 166),
    (230, 208), (190, 234), (140, 240), (96, 226), (64, 188), (42, 142),
)  # fmt: skip
_HEN_TAIL: tuple[Point, ...] = ((22, 92), (14, 62), (38, 48), (68, 66), (94, 118), (84, 158), (58, 160), (38, 130))
_HEN_WING: tuple[Point, ...] = ((88, 150), (140, 134), (194, 140), (212, 166), (190, 192), (140, 204), (98, 192))
_HEN_NECK: tuple[Point, ...] = (
    (172, 142), (184, 100), (200, 62), (212, 42), (230, 36), (245, 46), (248, 62), (240, 80), (242, 110), (250, 146),
    (236, 176), (204, 176), (180, 164),
)  # fmt: skip
_COMB: tuple[Point, ...] = (
    (210, 46), (206, 32), (213, 36), (217, 24), (224, 33), (230, 22), (235, 33), (242, 28), (243, 44),
)  # fmt: skip

_JAY_CANVAS = (220, 150)
_JAY_BODY: tuple[Point, ...] = (
    (66, 84), (96, 62), (130, 50), (160, 52), (172, 70), (164, 94), (136, 112), (98, 114), (72, 104),
)  # fmt: skip
_JAY_TAIL: tuple[Point, ...] = ((84, 78), (84, 102), (12, 128), (4, 116), (10, 106))
_JAY_WING: tuple[Point, ...] = ((148, 64), (128, 60), (84, 76), (44, 98), (86, 100), (126, 94), (146, 82))
_JAY_HEAD: tuple[Point, ...] = (
    (140, 62), (142, 38), (126, 8), (158, 22), (176, 32), (184, 44), (180, 58), (166, 70), (150, 74),
)  # fmt: skip


@dataclass(frozen=True)
class Bird:
    """A bird ready to be placed: `body` and `head` share one canvas, `pivot` is the neck, `feet` where it stands.

    `sitting` is the body with its legs folded away.
    """

    body: Sprite
    sitting: Sprite
    head: Sprite
    pivot: Point
    feet: Point

    def posed(self, *, lean: float, nod: float, flip: bool, sits: bool = False) -> Sprite:
        """The whole bird with the body leaning and the head nodding (degrees, positive is beak down).

        The canvas keeps its size and the feet stay where they are (mirrored when flipped).
        """
        lean_matrix = _turn(self.feet, lean)
        nod_matrix = lean_matrix @ _turn(self.pivot, nod)
        if flip:
            mirror = np.array([[-1.0, 0, self.body.width - 1], [0, 1, 0], [0, 0, 1]])
            lean_matrix, nod_matrix = mirror @ lean_matrix, mirror @ nod_matrix
        size = (self.body.width, self.body.height)
        return over(
            self.head.warped(nod_matrix[:2], *size),
            (self.sitting if sits else self.body).warped(lean_matrix[:2], *size),
        )


def draw_bird(kind: str, seed: int, scale: float) -> Bird:
    """Draw one individual: shade, shape and feathers vary with `seed`; `scale` is picture pixels per design pixel."""
    rng = rng_of(seed, 11)
    body, head, pivot, feet = _draw_jay(rng, scale) if kind == "blue_jay" else _draw_hen(kind, rng, scale)
    folded = body.rgba.copy()
    folded[round((feet[1] - 26) * scale) :] = 0
    return Bird(body, Sprite(folded), head, (pivot[0] * scale, pivot[1] * scale), (feet[0] * scale, feet[1] * scale))


def _turn(centre: Point, degrees: float) -> Matrix:
    """Clockwise on the screen."""
    angle = np.deg2rad(degrees)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    x, y = centre
    return np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0, 0, 1]])


def _wobbled(outline: tuple[Point, ...], rng: np.random.Generator, k: float, amount: float) -> Matrix:
    points = np.asarray(outline) + rng.normal(0, amount, (len(outline), 2))
    return curve([(float(x) * k, float(y) * k) for x, y in points])


def _rounded(mask: Picture, k: float, depth: float) -> Field:
    """Shade that makes a flat shape round: 1 inside, darker towards the edge and towards the ground."""
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    edge = np.clip(distance / (depth * k), 0, 1) ** 0.7
    rows = np.linspace(1.14, 0.74, mask.shape[0], dtype=np.float32)[:, None]
    return np.asarray((0.62 + 0.38 * edge) * rows, dtype=np.float32)


def _feathers(look: palette.Look, shape: tuple[int, int], rng: np.random.Generator, k: float) -> Field:
    """Plumage over the whole canvas, RGB."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(k)
    wave = cloud_noise(rng, height, width, 40 * k)
    if look.pattern == "barred":
        along = 0.92 * y + 0.38 * x + 5 * wave + 2.2 * np.sin(x / 5.2)
        share = 0.5 + 0.5 * np.tanh(2.6 * np.sin(along * (2 * np.pi / rng.uniform(13, 17))))
    else:
        share = 0.55 + 0.25 * wave  # overlapping rounded feathers, the edge of each a little darker
        bent = y + 6 * wave + 0.12 * x
        row = np.floor(bent / 9)
        across = np.mod(x + 6 * np.mod(row, 2), 12) / 6 - 1
        down = np.mod(bent, 9) / 9
        share = share + 0.5 * (1 - np.abs(down - 1 + 0.6 * across**2)) - 0.25
    share = np.clip(share, 0, 1)[:, :, None]
    colour = share * np.asarray(look.light, np.float32) + (1 - share) * np.asarray(look.dark, np.float32)
    return np.asarray(colour * (1 + 0.10 * cloud_noise(rng, height, width, 5 * k))[:, :, None], dtype=np.float32)


def _blend(base: Field, colour: tuple[int, int, int], mask: Picture, strength: float) -> Field:
    share = (mask.astype(np.float32) * np.float32(strength / 255))[:, :, None]
    return np.asarray(base * (1 - share) + np.asarray(colour, np.float32) * share, dtype=np.float32)


def _draw_hen(kind: str, rng: np.random.Generator, scale: float) -> tuple[Sprite, Sprite, Point, Point]:
    look = palette.LOOKS[kind]
    k = scale * _FINE
    shape = (round(_HEN_CANVAS[1] * k), round(_HEN_CANVAS[0] * k))
    tint = rng.normal(1.0, 0.025, 3).astype(np.float32) * np.float32(rng.uniform(0.9, 1.1))
    plumage = _feathers(look, shape, rng, k) * tint

    body_mask = mask_of(shape, _wobbled(_HEN_BODY, rng, k, 2.2))
    tail_mask = mask_of(shape, _wobbled(_HEN_TAIL, rng, k, 2.0))
    wing = _wobbled(_HEN_WING, rng, k, 2.0)
    colour = _blend(plumage, look.tail, tail_mask, 0.75 if look.pattern != "barred" else 0.2)
    wing_mask = mask_of(shape, wing)
    shade = _rounded(body_mask, k, 42)
    colour = colour * shade[:, :, None]
    colour = _blend(colour, look.dark, cv2.GaussianBlur(wing_mask, (0, 0), 2.5 * k).astype(np.uint8), 0.18)
    colour = colour * (0.84 + 0.30 * _rounded(wing_mask, k, 18) * (wing_mask > 0) + 0.16 * (wing_mask == 0))[:, :, None]
    painted = np.clip(colour, 0, 255).astype(np.uint8)
    for inset in (0.25, 0.5, 0.75):  # flight feathers
        start, end = wing[2] * (1 - inset) + wing[-8] * inset, wing[len(wing) // 2] * (1 - inset) + wing[-16] * inset
        stroke(painted, np.stack([start, (start + end) / 2 + [0, 5 * k], end]), _darker(look.dark, 0.8), 1.4 * k)
    mask = cv2.max(body_mask, tail_mask).astype(np.uint8)
    for foot in (148, 172):  # legs go below the body, so they are painted and masked last
        for path in (((foot, 228), (foot - 2, 264)), ((foot - 14, 270), (foot - 2, 262), (foot + 14, 270))):
            scaled = [(x * k, y * k) for x, y in path]
            stroke(mask, scaled, (255,), 5 * k)
            leg = np.zeros(shape, np.uint8)
            stroke(leg, scaled, (255,), 5 * k)
            leg[body_mask > 0] = 0
            painted[leg > 0] = look.legs
    body = shrink(cut_out(painted, mask), _FINE)

    neck_mask = mask_of(shape, _wobbled(_HEN_NECK, rng, k, 1.2))
    hackle = _blend(plumage, look.hackle, np.full(shape, 255, np.uint8), 0.45)
    painted = np.clip(hackle * _rounded(neck_mask, k, 22)[:, :, None] * 1.04, 0, 255).astype(np.uint8)
    comb = [(x * k, y * k) for x, y in _COMB]
    head_mask = cv2.max(neck_mask, mask_of(shape, comb)).astype(np.uint8)
    fill(painted, comb, palette.COMB)
    for outline, paint in (
        (curve([(240, 72), (250, 74), (252, 92), (244, 98), (238, 86)]), palette.COMB),
        (curve([(228, 46), (244, 46), (249, 62), (240, 72), (228, 66)]), palette.COMB),
        (np.asarray([(245, 46), (270, 59), (246, 65)], np.float64), palette.BEAK),
    ):
        fill(painted, outline * k, paint)
        fill(head_mask, outline * k, (255,))
    _eye(painted, (236, 54), k, 4.2)
    # Feathers of the neck end in a soft edge on the breast, where no outline should show.
    fade = np.clip((184 * k - np.mgrid[0 : shape[0], 0 : shape[1]][0]) / (34 * k), 0, 1).astype(np.float32)
    head = shrink(cut_out(painted, (head_mask * fade).astype(np.uint8)), _FINE)
    return body, head, (206.0, 146.0), (160.0, 268.0)


def _draw_jay(rng: np.random.Generator, scale: float) -> tuple[Sprite, Sprite, Point, Point]:
    k = scale * _FINE
    shape = (round(_JAY_CANVAS[1] * k), round(_JAY_CANVAS[0] * k))
    tint = rng.normal(1.0, 0.04, 3).astype(np.float32) * np.float32(rng.uniform(0.92, 1.1))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / np.float32(k)

    body_mask = mask_of(shape, _wobbled(_JAY_BODY, rng, k, 1.2))
    wing_mask = mask_of(shape, _wobbled(_JAY_WING, rng, k, 1.0))
    tail_mask = mask_of(shape, _wobbled(_JAY_TAIL, rng, k, 0.8))
    belly = np.clip((y + 0.28 * x - 112) / 10, 0, 1)[:, :, None]
    colour = (1 - belly) * np.asarray(palette.JAY_BLUE, np.float32) + belly * np.asarray(palette.JAY_WHITE, np.float32)
    # Wing and tail are barred with black and end in white.
    bars = (np.sin((x - 0.35 * y) * (2 * np.pi / 11)) > 0.62).astype(np.uint8) * 255
    flight = _blend(
        np.broadcast_to(np.asarray(palette.JAY_BLUE, np.float32), (*shape, 3)), palette.JAY_BLACK, bars, 0.85
    )
    tips = ((np.abs(x - 100 + 0.5 * (y - 80)) < 6) | (x < 13)).astype(np.uint8) * 255
    flight = _blend(flight, palette.JAY_WHITE, tips, 0.95)
    feathered = ((wing_mask > 127) | (tail_mask > 127))[:, :, None]
    mask = cv2.max(cv2.max(body_mask, wing_mask), tail_mask).astype(np.uint8)
    colour = np.where(feathered, flight, colour) * _rounded(mask, k, 16)[:, :, None] * tint
    painted = np.clip(colour * 1.08, 0, 255).astype(np.uint8)
    for foot in (118, 132):
        for path in (((foot, 110), (foot + 4, 134)), ((foot - 6, 138), (foot + 4, 133), (foot + 14, 138))):
            scaled = [(px * k, py * k) for px, py in path]
            leg = np.zeros(shape, np.uint8)
            stroke(leg, scaled, (255,), 3 * k)
            leg[mask > 0] = 0
            painted[leg > 0] = palette.JAY_BLACK
            stroke(mask, scaled, (255,), 3 * k)
    body = shrink(cut_out(painted, mask), _FINE)

    head_outline = _wobbled(_JAY_HEAD, rng, k, 0.6)
    head_mask = mask_of(shape, head_outline)
    base = (
        np.broadcast_to(np.asarray(palette.JAY_BLUE, np.float32), (*shape, 3))
        * _rounded(head_mask, k, 10)[:, :, None]
        * tint
    )
    painted = np.clip(base * 1.1, 0, 255).astype(np.uint8)
    fill(painted, curve([(158, 38), (176, 38), (184, 50), (172, 66), (158, 66), (152, 52)]) * k, palette.JAY_WHITE)
    collar = curve([(146, 34), (150, 52), (158, 66), (172, 72), (166, 78), (150, 76), (142, 58)]) * k
    fill(painted, collar, palette.JAY_BLACK)
    fill(head_mask, collar, (255,))
    beak = np.asarray([(180, 42), (204, 53), (181, 57)], np.float64) * k
    fill(painted, beak, palette.JAY_BLACK)
    fill(head_mask, beak, (255,))
    stroke(painted, np.asarray([(166, 46), (182, 50)], np.float64) * k, palette.JAY_BLACK, 2.2 * k)
    _eye(painted, (170, 46), k, 3.0)
    head = shrink(cut_out(painted, head_mask), _FINE)
    return body, head, (152.0, 66.0), (126.0, 136.0)


def _eye(target: Picture, centre: Point, k: float, radius: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for share, colour in ((1.0, palette.EYE), (0.62, palette.PUPIL)):
        fill(target, (np.asarray(centre) + circle * radius * share) * k, colour)


def _darker(colour: tuple[int, int, int], factor: float) -> tuple[float, float, float]:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
