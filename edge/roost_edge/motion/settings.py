"""Settings of the motion detector; light, because every role reads the settings file."""

from msgspec import Struct


class MotionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults were found on rendered henhouse clips; areas are shares of the picture."""

    width: int = 160
    """Pixels across at which motion is looked for; the height follows."""
    learn_ms: int = 1_000
    """At the start and after a sudden change of light: nothing is reported, the background is learnt."""
    min_delta: int = 8
    """Grey levels (of 255) that a pixel must differ from the background, however quiet it is."""
    noise_factor: float = 5.0
    """… and so many times its own usual deviation."""
    min_area: float = 0.005
    """Smaller blobs are leaves, insects and rain."""
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

    def __post_init__(self) -> None:
        for field, low, high in (
            ("width", 32, 640),
            ("learn_ms", 0, 60_000),
            ("min_delta", 1, 255),
            ("noise_factor", 1, 100),
            ("min_area", 0, 1),
            ("light_share", 0, 1),
            ("light_evenness", 0, 1),
            ("confirm_distance", 0, 2),
            ("background_ms", 100, 3_600_000),
            ("ghost_ms", 100, 3_600_000),
            ("rest_ms", 100, 86_400_000),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise ValueError(f"{field} = {value} is not between {low} and {high}")
