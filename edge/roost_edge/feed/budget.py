"""How many posts the service may still get: pure.

Rules:

1. In any 24 hours at most `per_day` posts, in any 31 days at most `per_month`. Windows that move keep every calendar's
   bound, whenever the service's month begins, and midnight brings no new ration.
2. An attempt whose end is not known counts. One that was certainly refused does not.
3. A post is stamped with the service's own time where its answer told one. A stamp in the future counts: when our
   clock went back, nothing is given twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DAY_MS = 86_400_000
MONTH_MS = 31 * DAY_MS


@dataclass(frozen=True, slots=True)
class Budget:
    """Both bounds, in posts."""

    per_day: int
    per_month: int

    def left(self, spent: Sequence[int], now_ms: int) -> tuple[int, int]:
        """How many may go now, by day and by month. `spent`: stamps of posts, in ms."""
        return (
            max(0, self.per_day - sum(at > now_ms - DAY_MS for at in spent)),
            max(0, self.per_month - sum(at > now_ms - MONTH_MS for at in spent)),
        )

    def next_ms(self, spent: Sequence[int], now_ms: int) -> int:
        """When the next post may go: `now_ms`, or the moment at which enough of the others are old."""
        newest = sorted(spent, reverse=True)
        moment = now_ms
        for most, window in ((self.per_day, DAY_MS), (self.per_month, MONTH_MS)):
            if len(newest) >= most:
                moment = max(moment, newest[most - 1] + window)
        return moment
