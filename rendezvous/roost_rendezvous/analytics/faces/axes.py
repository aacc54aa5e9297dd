"""Scales of plots: where a value stands, from 0 to 1, and which round values are written beside the axis. Pure."""

import math
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import NamedTuple, Protocol

NS = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS_S = (
    *(1, 2, 5, 10, 30),
    *(_MINUTE * n for n in (1, 2, 5, 10, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 3, 7, 14, 28, 91, 182, 364)),
)


class Tick(NamedTuple):
    """A place on an axis, from 0 to 1, and what is written there."""

    place: float
    text: str


class Axis(Protocol):
    """One direction of a plot."""

    def at(self, value: float) -> float:
        """From 0 to 1; what lies outside is put on the edge."""
        ...

    def ticks(self) -> list[Tick]:
        """In rising order."""
        ...


def plain(value: float) -> str:
    """A number as short as people write it."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M"
    if size >= 10_000:
        return f"{value / 1e3:.3g} k"
    return f"{value:.4g}" if size >= 1000 else f"{value:.3g}"


def milliseconds(value: float) -> str:
    """A duration of so many milliseconds: `0.5 ms`, `20 ms`, `1.5 s`."""
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def per_cent(share: float) -> str:
    """A share as people say it: few digits, but never `0 %` or `100 %` for what is not quite."""
    value = 100 * share
    near = min(value, 100 - value)
    if near <= 0:
        return f"{value:.0f} %"
    if near >= 10:
        return f"{value:.0f} %"
    digits = max(0, min(6, 1 - math.floor(math.log10(near))))
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


class Linear:
    """Equal distances are equal differences. Widened to round ends unless `exact`."""

    def __init__(
        self,
        low: float,
        high: float,
        *,
        most: int = 5,
        exact: bool = False,
        text: Callable[[float], str] = plain,
    ) -> None:
        if not high > low:
            low, high = (low - 0.5, low + 0.5) if low else (0.0, 1.0)
        self._step = _round_up((high - low) / most)
        self.low = low if exact else math.floor(low / self._step + 1e-9) * self._step
        self.high = high if exact else math.ceil(high / self._step - 1e-9) * self._step
        self._text = text

    def at(self, value: float) -> float:
        """See `Axis`."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def ticks(self) -> list[Tick]:
        """See `Axis`."""
        first = math.ceil(self.low / self._step - 1e-9)
        last = math.floor(self.high / self._step + 1e-9)
        return [Tick(self.at(n * self._step), self._text(n * self._step)) for n in range(first, last + 1)]


class Log:
    """Equal distances are equal ratios; both ends above 0."""

    def __init__(self, low: float, high: float, *, text: Callable[[float], str] = plain) -> None:
        low = max(low, 1e-12)
        high = max(high, low * 1.0001)
        self.low, self.high = low, high
        self._text = text

    def at(self, value: float) -> float:
        """See `Axis`; 0 and less stand on the lower edge."""
        if value <= self.low:
            return 0.0
        return min(1.0, math.log(value / self.low) / math.log(self.high / self.low))

    def ticks(self) -> list[Tick]:
        """Powers of ten; with 2 and 5 where there are few of those; every second or third where there are many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        factors = (1,) if decades > 3 else (1, 3) if decades > 1.5 else (1, 2, 5)
        every = max(1, round(decades / 5))
        values = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
        inside = [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]
        return [Tick(self.at(value), self._text(value)) for value in inside]


class Times:
    """Wall clock nanoseconds; ticks at round times of the zone (None: the machine's own)."""

    def __init__(self, low: int, high: int, zone: tzinfo | None, *, most: int = 6) -> None:
        self.low, self.high = low, max(high, low + NS)
        self._zone = zone
        seconds = (self.high - self.low) / NS
        self._step = next(
            (step for step in _STEPS_S if seconds / step <= most + 0.2), _round_up(seconds / most / _DAY) * _DAY
        )

    def at(self, value: float) -> float:
        """See `Axis`."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def ticks(self) -> list[Tick]:
        """See `Axis`."""
        start = datetime.fromtimestamp(self.low / NS, self._zone).astimezone(self._zone)
        offset = start.utcoffset()
        shift = int(offset.total_seconds()) if offset is not None else 0
        at = math.ceil((self.low / NS + shift) / self._step) * self._step - shift
        found = []
        while at * NS <= self.high:
            found.append(Tick(self.at(at * NS), self._text(at)))
            at += self._step
        return found

    def _text(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(seconds, self._zone).astimezone(self._zone)
        if self._step >= _DAY or (self._step >= _HOUR and moment.hour == 0 == moment.minute):
            return f"{moment.day} {moment:%b}"
        return f"{moment:%H:%M}" if self._step >= _MINUTE else f"{moment:%H:%M:%S}"


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten, at least `value`."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))
