"""Which day a message is archived under, which days are closed, and which numbers are settled. Pure.

Rules for the day (UTC) of a message:

1. It is the day on which the device received it, by the device's own clock.
2. A clock that is ahead of the centre does not count: never later than the day on which the centre stored it.
3. A clock that no Roost has ever seen (before 2025) does not count: then it is the day on which the centre stored it.
4. Within one outbox and lane it never goes back: so days in order are also messages in order, whatever the clock did.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from roost_broker.centre.lanes import LaneName, task_of
from roost_broker.topics import is_name

DEVICE = "_device"
"""Instead of a task, for what concerns a whole device."""
DAY_MS = 86_400_000
_EARLIEST_MS = 1_735_689_600_000  # 2025-01-01


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One day of one lane of one task."""

    day: str
    task: str
    lane: LaneName


def place_of(topic: str, base: str) -> str:
    """The task under which a topic is archived: a name, and so a folder; `_device` for all else."""
    task = task_of(topic, base)
    return task if task is not None and is_name(task) else DEVICE


def day_of(received_ms: int, stored_ms: int, last: str | None) -> str:
    """The day to archive under; `last` is the one of the newest message of the same outbox and lane."""
    credible = received_ms if _EARLIEST_MS <= received_ms <= stored_ms else stored_ms
    day = iso_day(credible)
    return day if last is None or day >= last else last


def iso_day(ms: int) -> str:
    """The UTC day of a moment, as 2026-11-21."""
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def begin_ms(day: str) -> int:
    """The moment at which a day begins."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def next_day(day: str) -> str:
    """The day after."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def is_closed(day: str, now_ms: int, close_after_ms: int) -> bool:
    """Whether a day has been over for long enough to be written to its file."""
    return begin_ms(day) + DAY_MS + close_after_ms <= now_ms


class Ranges:
    """A set of numbers that is mostly without holes, as first and last of each run."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(runs):
            self.add(first, last)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def add(self, first: int, last: int) -> None:
        """Take these numbers in; runs that touch become one."""
        low = bisect_right(self._lasts, first - 2)  # the first run that reaches our left neighbour or beyond
        high = bisect_right(self._firsts, last + 1)  # the first run that begins beyond our right neighbour
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
