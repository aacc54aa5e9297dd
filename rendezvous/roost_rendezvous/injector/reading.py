"""From bytes (a payload, a file, what a command printed) to one value of state, checked. Pure.

What every model will be given must never make a request unreadable: a value is bounded in size and depth, is UTF-8
and has no infinite numbers, or it is refused with a reason.
"""

import math
from typing import Any

import msgspec

from roost_rendezvous.injector import sun
from roost_rendezvous.injector.settings import StateValue

MAX_BYTES = 64_000
"""Most that is read of any source."""
_MAX_DEPTH = 5
"""Of one value; a request's own limit is 12."""
_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


class Unreadable(ValueError):
    """Why there is no value, in a few words."""


def read(data: bytes, rule: StateValue) -> Any:
    """The value in `data`. Raises `Unreadable`."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{len(data)} bytes are over the limit of {MAX_BYTES}")
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None
    if rule.pointer:
        return _as_type(_resolve(_json(text), rule.pointer), rule)
    if rule.type in ("text", "bool"):
        return _as_type(_unquoted(text), rule)
    try:
        value = _json(text)
    except Unreadable:
        value = text
    return _as_type(value, rule)


def compute(rule: StateValue, wall_ns: int, utc_offset_s: int) -> Any:
    """A computed value at this moment; `utc_offset_s` is that of local time."""
    if rule.latitude is not None and rule.longitude is not None and rule.computed in ("daylight", "sun-elevation"):
        above = sun.elevation(wall_ns, rule.latitude, rule.longitude)
        return sun.phase(above) if rule.computed == "daylight" else round(above, 2)
    local_h = (wall_ns // 1_000_000_000 + utc_offset_s) // 3600
    return local_h % 24 if rule.computed == "hour" else (local_h // 24 + 3) % 7 + 1  # 1970 began on a Thursday


def encoded(value: Any, rule: StateValue) -> bytes:
    """The value as JSON. Raises `Unreadable` for what is too large or too deep."""
    if _depth(value) > _MAX_DEPTH:
        raise Unreadable(f"nested deeper than {_MAX_DEPTH} levels")
    data = msgspec.json.encode(value)
    if len(data) > rule.max_bytes:
        raise Unreadable(f"{len(data)} bytes are over max_bytes = {rule.max_bytes}")
    return data


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unreadable("not JSON") from None


def _unquoted(text: str) -> Any:
    """A JSON string, number or truth value as that; any other text as it stands."""
    if text.startswith('"'):
        try:
            return _json(text)
        except Unreadable:
            return text
    return text


def _resolve(value: Any, pointer: str) -> Any:
    """JSON Pointer, RFC 6901."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            raise Unreadable(f"nothing at {pointer}")
    return value


def _as_type(value: Any, rule: StateValue) -> Any:
    if value is None or value == "":
        raise Unreadable("empty")
    if rule.type == "number":
        return _number(value, rule)
    if rule.type == "bool":
        return _truth(value)
    if rule.type == "text" and not isinstance(value, str):
        raise Unreadable(f"{_shown(value)} is no text")
    return value


def _number(value: Any, rule: StateValue) -> int | float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > 1e18 or math.isnan(number):
        raise Unreadable(f"{_shown(value)} is no number")
    if rule.scale == 1.0 and rule.offset == 0.0:
        return number
    return float(f"{number * rule.scale + rule.offset:.12g}")  # 48312 × 0.001 is 48.312, not 48.312000000000005


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Unreadable(f"{_shown(value)} is neither true nor false")


def _shown(value: Any) -> str:
    return repr(value)[:40]


def _depth(value: Any) -> int:
    """Levels of lists and objects; no deeper than one beyond the limit is looked."""
    level, here = 0, [value]
    while level <= _MAX_DEPTH and (nested := [one for one in here if isinstance(one, dict | list)]):
        level += 1
        here = [inner for outer in nested for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return level
