"""A series of counts (so many in these five minutes), watched: prediction joined with surprise. Pure.

What came in the last six hours is compared with what both forecasts, the next hour's and the day-ahead one, said for
them. The difference, in events, is measured by its own usual size on this stream, a slow and robust mean; the surprise
is the larger of the two. How much is too much is for the stream's own history to say (`history`): the same surprise is
daily bread on one stream and a disaster on another. The first day only teaches.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.history import HOUR, OwnHistory
from roost_rendezvous.analytics.rates.seasonal import NEXT_DAY, NEXT_HOUR, Seasonal
from roost_rendezvous.analytics.rates.settings import RatePolicy
from roost_rendezvous.analytics.reading import Reading, Signal

_HORIZONS = (NEXT_HOUR, NEXT_DAY)
_MOST_BINS = 60
"""In the window; shorter bins are put together."""
_MEMORY_HOURS = 200.0
"""Of the usual size of differences."""
_WILD = 4.0
"""A difference beyond so many usual ones counts as that many."""
_TEACHING_HOURS = 24.0
_LEAST_USUAL = 0.5
"""Half an event: on a stream that never errs a single event is nothing."""
_TO_DEVIATION = 1.2533
"""From a mean absolute difference to a standard deviation, were it normal."""


class _Bin(NamedTuple):
    end: int
    events: float
    expected: tuple[float, float]
    """By the two horizons."""


class CountWatch:
    """All that is kept of one series: bounded, about 16 kB."""

    def __init__(self, signal: Signal, policy: RatePolicy | None = None) -> None:
        self.signal = signal
        self.policy = policy or RatePolicy()
        self.seasonal = Seasonal(least_per_hour=self.policy.least_per_hour, least_hours=self.policy.least_hours)
        self.history = OwnHistory(self.policy.history)
        self._window: deque[_Bin] = deque()
        self._usual = [0.0, 0.0]
        self._judged_hours = 0.0
        self._hour: int | None = None
        self._hour_count, self._hour_seen = 0.0, 0
        self._gathered = _Bin(0, 0.0, (0.0, 0.0))
        self._gathered_ns = 0
        self._forecast: tuple[int, float, float] | None = None
        """Of one hour, by both horizons."""

    def add(self, start: int, width: int, count: float) -> Reading | None:
        """`count` events from `start`, `width` nanoseconds long; bins come in order, gaps are allowed.

        None: an older bin than the last (a series runs forwards), or one to be put together with the next. Raises
        Misuse for a bin longer than an hour or a count below zero.
        """
        if not SECOND <= width <= HOUR or not 0.0 <= count < math.inf:
            raise Misuse(f"A bin of {width} ns with {count} events.", "Give bins of 1 s to 1 h and counts from 0.")
        hour = start // HOUR
        if self._hour is not None and hour < self._hour:
            return None
        if self._hour is not None and hour > self._hour:
            self._close(hour)
        self._hour = hour
        expected = self._expected(hour, width)
        self._hour_count += count
        self._hour_seen += width
        if expected is None:
            return self._silent(start + width)
        before = self._gathered
        both = (before.expected[0] + expected[0], before.expected[1] + expected[1])
        self._gathered = _Bin(start + width, before.events + count, both)
        self._gathered_ns += width
        if self._gathered_ns * _MOST_BINS < self.policy.window_ns:
            return None
        return self._judge()

    def level(self, per_week: float) -> float | None:
        """The surprise that its own past passed `per_week` times a week; None: not enough history."""
        return self.history.level(per_week)

    def _judge(self) -> Reading:
        closed, span = self._gathered, self._gathered_ns
        self._gathered, self._gathered_ns = _Bin(0, 0.0, (0.0, 0.0)), 0
        self._window.append(closed)
        while self._window[0].end <= closed.end - self.policy.window_ns:
            self._window.popleft()
        count = sum(one.events for one in self._window)
        strangest, normal = 0.0, 0.0
        self._judged_hours += span / HOUR
        for place in range(len(_HORIZONS)):
            expected = sum(one.expected[place] for one in self._window)
            away = self._away(place, count, expected, span / HOUR)
            if away >= strangest:
                strangest, normal = away, expected
        if self._judged_hours > _TEACHING_HOURS:
            self.history.add(closed.end, strangest)
        why_not = self.seasonal.why_not
        hours = self.policy.window_ns / HOUR
        return Reading(
            signal=self.signal,
            at=closed.end,
            surprise=None if why_not else strangest,
            normal=normal,
            now=count,
            unit=f"events in {hours:g} h",
            events=round(closed.events),
            why_not=why_not,
            sentence=f"{self.signal.name}: {count:.4g} in {hours:g} hours, usually {normal:.4g}",
        )

    def _away(self, place: int, count: float, expected: float, hours: float) -> float:
        """How many usual differences the count is away; learns what is usual."""
        difference, usual = abs(count - expected), self._usual[place]
        learning = self._judged_hours <= _TEACHING_HOURS
        newest = (difference if learning else min(difference, _WILD * usual)) * _TO_DEVIATION
        # A plain mean at first; then one that forgets.
        share = hours / min(max(self._judged_hours, hours), _MEMORY_HOURS)
        self._usual[place] = usual + share * (newest - usual)
        return difference / max(usual, _LEAST_USUAL)

    def _expected(self, hour: int, width: int) -> tuple[float, float] | None:
        if self._forecast is None or self._forecast[0] != hour:
            near, far = (self.seasonal.forecast(hour, ahead) for ahead in _HORIZONS)
            if near is None or far is None:
                return None
            self._forecast = (hour, near.expected, far.expected)
        _, next_hour, next_day = self._forecast
        return next_hour * width / HOUR, next_day * width / HOUR

    def _close(self, hour: int) -> None:
        """The open hour is over; one that was seen in part is scaled up, one seen for less than half is unknown."""
        seen = self._hour_seen / HOUR
        self.seasonal.learn(self._hour or 0, self._hour_count / seen if seen >= 0.5 else None)
        for missed in range(max((self._hour or 0) + 1, hour - 400), hour):
            self.seasonal.learn(missed, None)
        self._hour_count, self._hour_seen = 0.0, 0

    def _silent(self, at: int) -> Reading:
        why_not = self.seasonal.why_not or "nothing seen yet"
        return Reading(signal=self.signal, at=at, why_not=why_not)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "hour": self._hour,
            "count": self._hour_count,
            "seen": self._hour_seen,
            "window": [[one.end, one.events, *one.expected] for one in self._window],
            "gathered": [self._gathered.end, self._gathered.events, *self._gathered.expected],
            "gathered_ns": self._gathered_ns,
            "usual": list(self._usual),
            "judged_hours": self._judged_hours,
            "seasonal": self.seasonal.snapshot(),
            "history": self.history.snapshot(),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        self._hour, self._hour_count, self._hour_seen = kept["hour"], float(kept["count"]), int(kept["seen"])
        self._window = deque(_Bin(end, count, (near, far)) for end, count, near, far in kept["window"])
        end, count, near, far = kept["gathered"]
        self._gathered, self._gathered_ns = _Bin(end, count, (near, far)), int(kept["gathered_ns"])
        self._usual = [float(value) for value in kept["usual"]]
        self._judged_hours = float(kept["judged_hours"])
        self.seasonal.restore(kept["seasonal"])
        self.history.restore(kept["history"])
        self._forecast = None
