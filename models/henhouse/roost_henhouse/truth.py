"""What is really in a rendered picture: the labels, where things are, and what else is going on."""

from dataclasses import asdict, dataclass
from typing import Any

# The order is the order of the outputs of every model of this application; it is never changed.
LABELS = (
    "plymouth_rock",
    "buff_orpington",
    "rhode_island_red",
    "blue_jay",
    "empty_nest",
    "egg",
    "open_door",
)
HENS = LABELS[:3]
BIRDS = LABELS[:4]

# What a picture is called when several labels hold: what matters most to whoever keeps the hens comes first.
RANK = ("blue_jay", "plymouth_rock", "buff_orpington", "rhode_island_red", "open_door", "egg", "empty_nest")

# A bird of which less is in the picture is not counted as present.
VISIBLE_ENOUGH = 0.4


@dataclass(frozen=True, slots=True)
class Box:
    """Where a thing is, in pixels: left, top, width, height; `visible` is the share of it inside the picture."""

    label: str
    x: int
    y: int
    width: int
    height: int
    visible: float


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of one picture.

    `label` is the one answer (first of `RANK` that holds), `labels` all that hold, in the order of `RANK`.
    `moving` says that something moves that a camera should wake up for: a bird, the door, an egg taken.
    `distractions` is what moves and should not: `rain`, `insect`, `leaf`, `light`.
    """

    index: int
    seconds: float
    label: str
    labels: tuple[str, ...]
    boxes: tuple[Box, ...]
    moving: bool
    weather: str
    light: str
    brightness: float
    door: float
    eggs: int
    distractions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def labels_that_hold(boxes: tuple[Box, ...]) -> tuple[str, ...]:
    """Labels of a picture in the order of `RANK`; the nest is empty when neither a bird nor an egg is seen."""
    present = {box.label for box in boxes if box.visible >= VISIBLE_ENOUGH}
    if not present & {*BIRDS, "egg"}:
        present.add("empty_nest")
    return tuple(label for label in RANK if label in present)
