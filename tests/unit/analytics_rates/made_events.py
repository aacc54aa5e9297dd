"""Streams of events made from a seed, for the tests of rates."""

from collections.abc import Callable

import numpy as np

from roost_rendezvous.analytics.rates.history import HOUR
from roost_rendezvous.analytics.reading import Signal

SIGNAL = Signal(task="nest", kind="rate", subject="task", of="requests")
FIRST_HOUR = 480_000
"""An hour of 2024; the number is divisible by 24."""


def busy_by_day(hour: int) -> float:
    """100 events an hour on average, three times more at noon than at midnight."""
    return 100.0 * (1.0 - 0.5 * float(np.cos(2 * np.pi * (hour % 24) / 24)))


def hourly_counts(hours: int, seed: int, rate: Callable[[int], float] = busy_by_day) -> list[int]:
    """Poisson counts of so many hours from FIRST_HOUR."""
    draw = np.random.default_rng(seed)
    return [int(draw.poisson(rate(FIRST_HOUR + hour))) for hour in range(hours)]


def poisson_events(hours: int, seed: int, rate: Callable[[int], float] = busy_by_day) -> list[int]:
    """Times in nanoseconds, rising."""
    draw = np.random.default_rng(seed)
    parts = [
        (FIRST_HOUR + hour) * HOUR + draw.integers(0, HOUR, draw.poisson(rate(FIRST_HOUR + hour)))
        for hour in range(hours)
    ]
    return [int(at) for at in np.sort(np.concatenate(parts))]


def clumped_events(hours: int, seed: int, per_hour: float = 8.0, size: float = 8.0) -> list[int]:
    """Clumps at random, each of about `size` events within some minutes (Neyman and Scott)."""
    draw = np.random.default_rng(seed)
    starts = FIRST_HOUR * HOUR + draw.integers(0, hours * HOUR, draw.poisson(per_hour * hours))
    parts = [start + draw.exponential(HOUR / 12, draw.geometric(1.0 / size)).astype(np.int64) for start in starts]
    events = np.sort(np.concatenate(parts))
    return [int(at) for at in events if at < (FIRST_HOUR + hours) * HOUR]
