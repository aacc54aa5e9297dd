"""Masks and zones of a camera: lines in a form, polygons in the settings' text. Pure.

The text is somebody's file, with comments: only the values of these keys are replaced. What came out is read again and
must say what was meant, and nothing else may have changed; where that cannot be done, nothing is.
"""

import tomllib
from typing import Any

from roost_broker.errors import Misuse
from roost_edge.page.toml_edit import with_value

KINDS = (("mask", "mask: nothing there counts"), ("zone", "zone: has a name, for rules"))
_MOST_AREAS, _MOST_POINTS = 32, 64
_HOW = "Write `mask 0.1,0.2 0.5,0.2 0.3,0.6` or `zone feeder 0.4,0.4 0.9,0.4 0.9,0.9`: three points or more, 0 to 1."
Polygon = list[list[float]]


def lines_of(text: str, camera: str) -> str:
    """The areas in a settings' text, one a line."""
    try:
        motion = _motion(tomllib.loads(text), camera)
    except tomllib.TOMLDecodeError:
        return ""
    masks = [f"mask {_points(polygon)}" for polygon in motion.get("masks", [])]
    zones = [f"zone {name} {_points(polygon)}" for name, polygon in motion.get("zones", {}).items()]
    return "\n".join([*masks, *zones])


def with_lines(text: str, camera: str, lines: str) -> str:
    """The settings' text with these areas instead of those it had. Raises `Misuse`."""
    masks, zones = parse(lines)
    table = ("cameras", camera, "motion")
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misuse(f"The settings are no TOML now: {error}.", "Mend them first: /settings") from error
    changed = text
    for key, value in (("masks", masks), ("zones", zones)):
        if value or key in _motion(wanted, camera):
            changed = with_value(changed, table, key, value)
            wanted["cameras"][camera].setdefault("motion", {})[key] = value
    try:
        same = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise Misuse("The areas cannot be put into this file.", "Write them below the camera's [motion] by hand.")
    return changed


def parse(lines: str) -> tuple[list[Polygon], dict[str, Polygon]]:
    """Masks, and zones by name. Raises `Misuse`."""
    masks: list[Polygon] = []
    zones: dict[str, Polygon] = {}
    for number, line in enumerate(lines.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        named = words[0] == "zone" and len(words) > 1
        if words[0] not in ("mask", "zone") or (named and words[1] in zones):
            raise Misuse(f"Line {number} is no area.", _HOW)
        polygon = [_point(word, number) for word in words[2 if named else 1 :]]
        if not 3 <= len(polygon) <= _MOST_POINTS:
            raise Misuse(f"Line {number} has {len(polygon)} points.", _HOW)
        if named:
            zones[words[1]] = polygon
        else:
            masks.append(polygon)
    if len(masks) + len(zones) > _MOST_AREAS:
        raise Misuse(f"These are more than {_MOST_AREAS} areas.", "Draw fewer, larger ones.")
    return masks, zones


def _point(word: str, number: int) -> list[float]:
    try:
        x, y = (round(float(part), 4) for part in word.split(","))
    except ValueError as error:
        raise Misuse(f"Line {number}: {word[:40]!r} is no point.", _HOW) from error
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise Misuse(f"Line {number}: {word[:40]!r} lies outside the picture.", _HOW)
    return [x, y]


def _points(polygon: Any) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in polygon)


def _motion(document: dict[str, Any], camera: str) -> dict[str, Any]:
    found = document.get("cameras", {}).get(camera, {}).get("motion", {})
    return found if isinstance(found, dict) else {}
