"""Sums and averages of every ten seconds for a time-series store (the book, ch. 7, "Aggregated Metrics"). Pure,
bounded.

Counters are summed, gauges averaged; each step begins at a multiple of its length since 1970, so that those of
several devices lie on each other. A counter that had nothing to count gives 0 in every step, for nothing is a fact;
a gauge that was not read gives no point, for that is none.
"""

from collections import deque
from typing import NamedTuple

import msgspec

SECOND = 1_000_000_000


class AggregateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds. A value that cannot be raises ValueError."""

    step_s: int = 10
    """Length of a step."""
    max_series: int = 2_000
    """Series kept; values of further ones are counted as `refused`."""
    keep_steps: int = 360
    """Finished steps kept for whoever fetches them: an hour of ten seconds."""
    max_points: int = 100_000
    """Points in all of them together; the oldest steps go first."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("step_s", 1, 3_600),
            ("max_series", 1, 1_000_000),
            ("keep_steps", 1, 100_000),
            ("max_points", 1, 100_000_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")


class Series(NamedTuple):
    """Whose numbers: `requests` of a task, `cpu` of a device; labels as name and value, in order of names."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


class Point(NamedTuple):
    """One step of one series."""

    at: int
    """Start of the step, nanoseconds since 1970."""
    series: Series
    sum: float
    times: int
    """Values behind it; a counter's additions."""
    gauge: bool

    @property
    def value(self) -> float:
        """What a time-series store wants: a counter's sum, a gauge's mean."""
        return self.sum / self.times if self.gauge and self.times else self.sum


class Aggregates:
    """See the module. Call `tick` before values of a later step."""

    def __init__(self, settings: AggregateSettings | None = None) -> None:
        self._settings = settings or AggregateSettings()
        self._step_ns = self._settings.step_s * SECOND
        self._begin: int | None = None
        self._counters: dict[Series, list[float]] = {}
        self._gauges: dict[Series, list[float]] = {}
        self._steps: deque[tuple[Point, ...]] = deque(maxlen=self._settings.keep_steps)
        self._points = 0
        self.refused = 0
        """Values of series beyond the bound, or that were no finite numbers."""

    def count(self, series: Series, amount: float = 1.0) -> None:
        """Something happened, so many times."""
        self._add(self._counters, series, amount)

    def gauge(self, series: Series, value: float) -> None:
        """Something was read."""
        self._add(self._gauges, series, value)

    def tick(self, now: int) -> tuple[Point, ...]:
        """Finish the step that is over, if one is; its points. Steps in which nobody asked are not invented.

        `now` is wall clock; where it was set back, the step that goes on simply grows.
        """
        step = now // self._step_ns * self._step_ns
        if self._begin is None:
            self._begin = step
        if step <= self._begin:
            if self._begin - step > 10 * self._step_ns:  # the clock was set back by far: go on from there
                self._begin = step
            return ()
        points = tuple(
            [Point(self._begin, key, total, int(n), False) for key, (total, n) in self._counters.items()]
            + [Point(self._begin, key, total, int(n), True) for key, (total, n) in self._gauges.items() if n]
        )
        for kept in (self._counters, self._gauges):
            for one in kept.values():
                one[:] = (0.0, 0.0)
        self._begin = step
        self._keep(points)
        return points

    def deadline(self) -> int | None:
        """When the current step ends."""
        return None if self._begin is None else self._begin + self._step_ns

    def since(self, at: int) -> list[Point]:
        """Kept points of steps that began at `at` or later."""
        return [point for points in self._steps for point in points if point.at >= at]

    def _add(self, kept: dict[Series, list[float]], series: Series, value: float) -> None:
        if not -1e300 < value < 1e300:
            self.refused += 1
            return
        known = kept.get(series)
        if known is None:
            if len(self._counters) + len(self._gauges) >= self._settings.max_series:
                self.refused += 1
                return
            known = kept[series] = [0.0, 0.0]
        known[0] += value
        known[1] += 1

    def _keep(self, points: tuple[Point, ...]) -> None:
        if len(self._steps) == self._steps.maxlen:
            self._points -= len(self._steps[0])
        self._steps.append(points)
        self._points += len(points)
        while self._points > self._settings.max_points and len(self._steps) > 1:
            self._points -= len(self._steps.popleft())
