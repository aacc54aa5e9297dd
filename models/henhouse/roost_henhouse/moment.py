"""What is to be drawn in one instant. The story makes moments for video, `stills` makes them for data sets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BirdPose:
    """A bird in the picture.

    `x`, `y` is where its feet are, as shares of the picture's width and height; `scale` is its size (1 is ordinary);
    `lean`, `nod` are degrees; `nested` birds sit behind the front rim of the straw.
    """

    kind: str
    individual: int
    x: float
    y: float
    scale: float
    flip: bool
    lean: float = 0.0
    nod: float = 0.0
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a scene.

    `door` is how far it is open, 0..1; `rain` is 0..1; `leaf` is which one and how far across; `insects` are their
    numbers; `stirring` says that something besides a bird moves that a camera should wake up for.
    """

    seconds: float
    bird: BirdPose | None = None
    eggs: int = 0
    door: float = 0.0
    night: bool = False
    brightness: float = 1.0
    warmth: float = 0.0
    rain: float = 0.0
    insects: tuple[int, ...] = ()
    leaf: tuple[int, float] | None = None
    stirring: bool = False
    light_step: bool = False
