"""A post's words: pure. The zone is an argument, so that a page and a test read the same everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

MAX_WEIGHT = 280
MAX_ALT = 1_000
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Code points that the service counts once; others count twice (its published configuration, version 3)."""
_SURE = ((0.95, "almost certainly"), (0.8, "very likely"), (0.6, "probably"), (0.0, "perhaps"))


@dataclass(frozen=True, slots=True)
class Words:
    """What a post says."""

    text: str
    alt: str
    """For people who do not see the picture."""


def how_sure(score: float) -> str:
    """A score in words."""
    return next((words for least, words in _SURE if score >= least), _SURE[-1][1])


def percent(score: float) -> str:
    """As people read it; never "100 %" for less than certainty, never "0 %" for something."""
    share = min(max(score, 0.0), 1.0) * 100
    if 0 < share < 1:
        return "<1 %"
    return ">99 %" if 99 < share < 100 else f"{round(share)} %"


def harmless(text: str) -> str:
    """A label that mentions nobody and is one short line: names come from models, and models from anywhere."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    for sign in "@\uff20":
        line = line.replace(sign, "(at) ")
    return line.replace("_", " ").replace("#", "").replace("://", ": ")[:80].strip() or "something"


def weight(text: str) -> int:
    """Length as the service counts it."""
    return sum(1 if any(low <= ord(one) <= high for low, high in _LIGHT) else 2 for one in text)


def words(
    template: str,
    best: Sequence[tuple[str, float]],
    *,
    camera: str,
    task: str,
    node: str,
    at_ms: int,
    zone: tzinfo | None,
) -> Words:
    """The text of a post, short enough for the service, and what its picture shows. `zone` None: this machine's."""
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    label, score = harmless(best[0][0]), best[0][1]
    lines = [f"{harmless(name)} {percent(value)}" for name, value in best]
    sure = f"{label[:1].upper()}{label[1:]}, {how_sure(score)}."
    values = {
        "label": label,
        "sure": sure,
        "scores": "\n".join(lines),
        "camera": camera,
        "task": task,
        "node": node,
        "date": f"{at:%Y-%m-%d}",
        "time": f"{at:%H:%M}",
    }
    text = shortened(template.format_map(values).strip(), MAX_WEIGHT)
    alt = f"Picture of the camera {camera}, {at:%Y-%m-%d %H:%M}. The model's best answers: {', '.join(lines)}."
    return Words(text, shortened(alt, MAX_ALT))


def shortened(text: str, most: int) -> str:
    """As much of it as has this weight."""
    if weight(text) <= most:
        return text
    while weight(text) > most - 2:  # the ellipsis counts twice
        text = text[:-1]
    return f"{text.rstrip()}…"
