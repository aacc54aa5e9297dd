"""How the birds are coloured. RGB, daylight, before the light of the scene is applied."""

from dataclasses import dataclass

from roost_henhouse.canvas import Colour


@dataclass(frozen=True)
class Look:
    """Colours of one kind of hen. `pattern` is `barred` or `scalloped`."""

    pattern: str
    light: Colour
    dark: Colour
    tail: Colour
    hackle: Colour
    legs: Colour


LOOKS = {
    "plymouth_rock": Look("barred", (214, 214, 210), (62, 64, 70), (120, 122, 126), (150, 152, 154), (214, 176, 70)),
    "buff_orpington": Look(
        "scalloped", (232, 180, 96), (190, 126, 48), (196, 134, 56), (238, 190, 104), (226, 190, 170)
    ),
    "rhode_island_red": Look("scalloped", (142, 54, 32), (88, 26, 16), (34, 36, 34), (156, 66, 36), (206, 160, 70)),
}

COMB: Colour = (206, 38, 34)
BEAK: Colour = (222, 176, 78)
EYE: Colour = (214, 120, 30)
PUPIL: Colour = (12, 10, 10)

JAY_BLUE: Colour = (58, 108, 196)
JAY_DEEP: Colour = (34, 66, 138)
JAY_WHITE: Colour = (230, 232, 236)
JAY_GREY: Colour = (176, 182, 194)
JAY_BLACK: Colour = (22, 22, 28)
