"""Hours of the day and days of the week, in a local time zone that is given as data. Pure.

A time zone says how late it is somewhere at an instant; which one it is comes from the settings, and its rules from
the system's files, which whoever composes the role has read. Instants are integers of nanoseconds since 1970.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Final

from roost_broker.clock import SECOND

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


def time_of(text: str) -> time:
    """`06:30` as a time of the day. Raises ValueError."""
    found = _TIME.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time of the day such as 06:30")
    return time(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` to `end`, which is no longer part of it; over midnight where `end` comes first."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """`06:00-22:00`. Raises ValueError."""
        first, dash, second = text.partition("-")
        if not dash or first.strip() == second.strip():
            raise ValueError(f"{text[:40]!r} are no hours such as 06:00-22:00")
        return cls(time_of(first.strip()), time_of(second.strip()))

    def __contains__(self, at: time) -> bool:
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


def local(at_ns: int, zone: tzinfo) -> datetime:
    """How late it is there."""
    return datetime.fromtimestamp(at_ns // SECOND, zone)


def instant(day: date, at: time, zone: tzinfo) -> int:
    """When it is so late there on that day; what a change of the clock leaves out is its later edge."""
    return int(datetime.combine(day, at, zone).timestamp()) * SECOND
