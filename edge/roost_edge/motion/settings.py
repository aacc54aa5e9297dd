"""Settings of the motion detector; light, because every role reads the settings file."""

import re
from typing import TypeAlias

from msgspec import Struct, field

Polygon: TypeAlias = tuple[tuple[float, float], ...]
"""Corners in order, each (x, y) as shares of the picture's width and height from its upper left corner."""

MAX_POLYGONS = 32
MAX_CORNERS = 64
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")


class MotionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults were found on rendered henhouse clips; areas are shares of the picture."""

    width: int = 160
    """Pixels across at which motion is looked for; the height follows."""
    learn_ms: int = 1_000
    """At the start and after a sudden change of light: nothing is reported, the background is learnt."""
    min_delta: int = 4
    """Grey levels (of 255) that a pixel must differ from the background, however quiet it is."""
    noise_factor: float = 5.0
    """… and so many times its own usual deviation."""
    min_area: float = 0.0018
    """Smaller blobs are leaves, insects and rain."""
    sure_area: float = 0.01
    """Blobs from here on need two frames in a row, smaller ones `small_frames`."""
    small_frames: int = 4
    light_share: float = 0.15
    """More than this changed at once, mostly in one direction and with its edges in place: that is light."""
    light_evenness: float = 0.8
    """How much of the change must go in one direction, 0 to 1."""
    confirm_distance: float = 0.3
    """Two frames in a row must show a blob, its middle moved by no more than this share of the width."""
    background_ms: int = 10_000
    """Time constant with which the quiet part of the picture is followed."""
    ghost_ms: int = 500
    """A blob as still as the background, with fewer edges than the background has there, is where something left."""
    rest_ms: int = 10_000
    """A blob as still as the background for so long is furniture (an opened door), and becomes background."""

    masks: tuple[Polygon, ...] = ()
    """Parts of the picture that are not looked at, such as a tree or the camera's clock."""
    zones: dict[str, Polygon] = field(default_factory=dict)
    """Named parts of the picture. Requests say in which of them the motion was; rules of alerts can ask for it."""
    only_zones: bool = False
    """What moves outside every zone is no event."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 32, 640),
            ("learn_ms", 0, 60_000),
            ("min_delta", 1, 255),
            ("noise_factor", 1, 100),
            ("min_area", 0, 1),
            ("sure_area", 0, 1),
            ("small_frames", 2, 100),
            ("light_share", 0, 1),
            ("light_evenness", 0, 1),
            ("confirm_distance", 0, 2),
            ("background_ms", 100, 3_600_000),
            ("ghost_ms", 100, 3_600_000),
            ("rest_ms", 100, 86_400_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} is not between {low} and {high}")
        if len(self.masks) > MAX_POLYGONS or len(self.zones) > MAX_POLYGONS:
            raise ValueError(f"there are at most {MAX_POLYGONS} masks and {MAX_POLYGONS} zones")
        for number, corners in enumerate(self.masks, 1):
            _check(f"mask {number}", corners)
        for name, corners in self.zones.items():
            if not _ZONE.match(name):
                raise ValueError(f"zone {name!r}: a name has at most 32 letters, digits, '-' and '_'")
            _check(f"zone {name}", corners)
        if self.only_zones and not self.zones:
            raise ValueError("only_zones needs zones")


def _check(what: str, corners: Polygon) -> None:
    if not 3 <= len(corners) <= MAX_CORNERS:
        raise ValueError(f"{what} has {len(corners)} corners, not 3 to {MAX_CORNERS}")
    for x, y in corners:
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"{what}: the corner [{x}, {y}] is not within 0 to 1; corners are shares of the picture")
    doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, (*corners[1:], corners[0]), strict=True))
    if abs(doubled) < 2e-5:
        raise ValueError(f"{what} covers nothing")
