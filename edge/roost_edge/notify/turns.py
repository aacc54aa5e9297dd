"""Whose turn it is: retries that wait longer each time, and so many notices an hour. Pure; time is an argument."""

from collections import deque
from collections.abc import Iterable

from roost_broker.clock import SECOND
from roost_edge.notify.settings import NotifySettings

_HOUR = 3_600 * SECOND


class Turns:
    """Ask `next` what to send now, and say what came of it: `failed` or `forget`."""

    def __init__(self, settings: NotifySettings) -> None:
        self._retry = round(settings.retry_s * SECOND)
        self._longest = round(settings.retry_max_s * SECOND)
        self._most = settings.max_per_hour
        self._failures: dict[int, tuple[int, int]] = {}  # seq → how often, and when it is tried again
        self._sent: deque[int] = deque()

    def next(self, waiting: Iterable[int], now: int) -> int | None:
        """Sequence number of the oldest that may be sent now."""
        if self._budget_due(now) is not None:
            return None
        return next((seq for seq in waiting if self._due(seq) <= now), None)

    def deadline(self, waiting: Iterable[int], now: int) -> int | None:
        """When to ask again; None while nothing waits."""
        first = min((self._due(seq) for seq in waiting), default=None)
        budget = self._budget_due(now)
        return first if first is None or budget is None else max(first, budget)

    def begins(self, seq: int, now: int) -> None:
        """It is sent for the first time, or again; only the first time counts for the hour."""
        if seq not in self._failures:
            self._sent.append(now)

    def failed(self, seq: int, now: int) -> None:
        """Not everybody has it."""
        times = self._failures.get(seq, (0, 0))[0] + 1
        wait = min(self._longest, self._retry << min(times - 1, 20))
        self._failures[seq] = (times, now + wait)

    def forget(self, seq: int) -> None:
        """It is done."""
        self._failures.pop(seq, None)

    def _due(self, seq: int) -> int:
        return self._failures.get(seq, (0, 0))[1]

    def _budget_due(self, now: int) -> int | None:
        while self._sent and self._sent[0] <= now - _HOUR:
            self._sent.popleft()
        return self._sent[0] + _HOUR if len(self._sent) >= self._most else None
