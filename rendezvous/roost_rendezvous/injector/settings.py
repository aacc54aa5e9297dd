"""One value of external state, validated when made: `[tasks.<task>.state.<name>]` of a settings file."""

import math
from typing import Literal

from msgspec import Struct

from roost_broker.clock import SECOND
from roost_broker.topics import is_topic

MAX_VALUES = 64
"""Most values of one task. Each costs a moment of every request."""


class StateValue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of `topic`, `file`, `command` and `computed` says where the value comes from.

    A value that cannot be raises ValueError.
    """

    topic: str = ""
    """An MQTT topic of this broker, without wildcards."""
    retained: bool = True
    """Take the retained message of the topic too; its age counts from when the injector received it."""
    file: str = ""
    """A file to read; relative to the settings file."""
    dated_by: Literal["reading", "file"] = "reading"
    """What the age of a file's value counts from: the last reading, or the file's own time of change."""
    command: tuple[str, ...] = ()
    """A program and its arguments, run without a shell; what it prints is the value."""
    timeout_s: float = 5.0
    """Longest run of the command; then it and what it started are killed."""
    every_s: float = 10.0
    """Pause between two readings of a file, or two runs of a command."""
    computed: Literal["", "daylight", "sun-elevation", "hour", "weekday"] = ""
    """From the clock: `day`, `twilight` or `night`; degrees of the sun above the horizon; the local hour (0 to 23) or
    weekday (1 is Monday)."""
    latitude: float | None = None
    """Degrees north, for daylight and sun-elevation."""
    longitude: float | None = None
    """Degrees east, for daylight and sun-elevation."""
    pointer: str = ""
    """Which part of a JSON text: a JSON Pointer (RFC 6901) such as `/temperature`."""
    type: Literal["any", "number", "text", "bool"] = "any"
    """What the value must be; another kind counts as unreadable."""
    scale: float = 1.0
    """A number is multiplied by this,"""
    offset: float = 0.0
    """and then this is added."""
    max_bytes: int = 1000
    """Largest value, as JSON."""
    stale_after_s: float | None = None
    """Age from which the value counts as stale. Left out: three times `every_s` for what is read again and again
    (files dated by themselves excepted), never for a topic."""
    when_stale: Literal["drop", "keep", "default"] = "drop"
    """A stale value is left out, kept with its age, or replaced by `default`, as is a value that never came."""
    default: str | int | float | bool | None = None
    """Stands for a stale or missing value where `when_stale = "default"`; it has no age."""

    def __post_init__(self) -> None:
        given = [name for name in ("topic", "file", "command", "computed") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given)} are given; give exactly one of them"
                if given
                else "no source is given; give one of topic, file, command and computed"
            )
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")
        if self.topic and not is_topic(self.topic):
            raise ValueError(f"topic is {self.topic!r}; name one topic, without wildcards")
        if self.pointer and not self.pointer.startswith("/"):
            raise ValueError(f"pointer is {self.pointer!r}; it begins with a slash, such as /temperature")
        if "\0" in self.file:
            raise ValueError("file has a zero byte; give the path of a file")
        if self.command and (not self.command[0] or any("\0" in word for word in self.command)):
            raise ValueError("command has no name or a zero byte; give a program and its arguments")
        self._check_meaning()

    def _check_meaning(self) -> None:
        if self.computed in ("daylight", "sun-elevation") and (self.latitude is None or self.longitude is None):
            raise ValueError(f"computed is {self.computed!r} without a place; give latitude and longitude in degrees")
        if (self.scale != 1.0 or self.offset != 0.0) and self.type != "number":
            raise ValueError(f'scale and offset are for numbers, not for {self.type}; set type = "number"')
        if (self.when_stale == "default") != (self.default is not None):
            raise ValueError('when_stale = "default" and default = … go together; give both or neither')

    @property
    def source(self) -> str:
        """Where it comes from, in a few words."""
        if self.topic:
            return f"topic {self.topic}"
        if self.file:
            return f"file {self.file}"
        return f"command {self.command[0]}" if self.command else f"computed {self.computed}"

    @property
    def stale_ns(self) -> int | None:
        """Age from which it is stale; None for never."""
        if self.stale_after_s is not None:
            return int(self.stale_after_s * SECOND)
        polled = bool(self.command) or (bool(self.file) and self.dated_by == "reading")
        return int((3 * self.every_s + (self.timeout_s if self.command else 0)) * SECOND) if polled else None


_RANGES = (
    ("timeout_s", 0.1, 3600),
    ("every_s", 0.1, 86_400),
    ("latitude", -90, 90),
    ("longitude", -180, 180),
    ("scale", -1e12, 1e12),
    ("offset", -1e12, 1e12),
    ("max_bytes", 1, 10_000),
    ("stale_after_s", 0.001, 31_536_000),
)
