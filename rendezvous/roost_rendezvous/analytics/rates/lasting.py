"""More or fewer for most of a day, on a stream whose events come in bursts. Pure.

A burst may bring ten times the usual events within an hour; whatever adds up events is shouted down by it, and a level
from such a past hides a doubling. But a burst is an hour's affair, and a doubling is there in every hour. So each hour
has one voice of bounded strength: its departure from what was forecast a day ahead, as a logarithm, in usual errors,
at most `_LOUDEST` of them. The voices of the last day are added up, as many standard errors as they would be if hours
were independent; they are not, so this has its own past, too, cut into days.

The day-ahead forecast, for it has not heard of the change before a day is over. One day and 1.5 errors were chosen
among windows of 6 to 24 hours, bounds of 1 to 6 errors and sums that start anew at zero, on made-up processes (clumps,
lively rates, cascades, cascades on lively rates), not on anybody's data.
"""

import math
from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from roost_rendezvous.analytics.rates.history import HOUR, HistoryPolicy, OwnHistory
from roost_rendezvous.analytics.rates.seasonal import Forecast
from roost_rendezvous.analytics.reading import Reading, Signal

HOURS = 24
_LOUDEST = 1.5
_LEAST_DAYS = 8


class Lasting:
    """The last day of one stream, and what such days were like: about a kilobyte."""

    def __init__(self, policy: HistoryPolicy) -> None:
        self.history = OwnHistory(_daily(policy))
        self._hours = array("f")  # 4 bytes each
        """Count, forecast and voice of one hour after the other, oldest first."""

    def learn(self, count: float, forecast: Forecast) -> None:
        """An hour is over that was watched from its beginning; `forecast` was made for it a day ahead."""
        log = math.log1p(forecast.expected)
        spread = math.sqrt(forecast.excess + math.exp(-log))
        voice = (math.log1p(count) - log) / spread
        self._hours.extend((count, forecast.expected, max(-_LOUDEST, min(_LOUDEST, voice))))
        del self._hours[: -3 * HOURS]

    def reading(self, signal: Signal, now: int, why_not: str) -> Reading:
        """What can be said now; `why_not` as the forecast has it. Recorded while learning, too."""
        known = len(self._hours) // 3
        if known:
            self.history.add(now, self.surprise)
        why_not = why_not or ("" if known else "nothing seen yet")
        count, expected = sum(self._hours[0::3]), sum(self._hours[1::3])
        return Reading(
            signal=signal,
            at=now,
            surprise=None if why_not else self.surprise,
            normal=expected,
            now=count,
            unit="events in a day",
            why_not=why_not,
            sentence=f"{signal.name.removesuffix('.lasting').removesuffix('/lasting')}: "
            f"{count:.4g} in {known} hours, usually {expected:.4g}",
        )

    def accept(self) -> None:
        """What comes is judged afresh."""
        self._hours = array("f")

    @property
    def surprise(self) -> float:
        """How far the last day was off, more or fewer: in standard errors, were its hours independent."""
        return abs(sum(self._hours[2::3])) / math.sqrt(HOURS)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"hours": [round(value, 4) for value in self._hours], "history": self.history.snapshot()}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        hours = array("f", map(float, kept["hours"]))
        self._hours = hours[-3 * HOURS :] if len(hours) % 3 == 0 else array("f")
        self.history.restore(kept["history"])


@lru_cache(maxsize=8)
def _daily(policy: HistoryPolicy) -> HistoryPolicy:
    """The same length of past, cut into days; one for all streams."""
    days = max(_LEAST_DAYS, policy.keep_blocks * policy.block_ns // (HOURS * HOUR))
    return HistoryPolicy(block_ns=HOURS * HOUR, keep_blocks=int(days), least_blocks=_LEAST_DAYS)
