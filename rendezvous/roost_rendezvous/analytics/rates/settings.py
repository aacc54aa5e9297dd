"""Bounds of watching one stream's rate, validated when made."""

from msgspec import Struct

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.history import HOUR, HistoryPolicy
from roost_rendezvous.analytics.rates.ladder import RATIOS


class RatePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is enough to say anything, and which changes are looked for."""

    least_hours: int = 168
    """Hours of history before anything is said: a week, for weeks have seasons."""
    least_per_hour: float = 30.0
    """Events an hour below which nothing is said: chance alone moves fewer too much."""
    ratios: tuple[float, ...] = RATIOS
    """Rates that are looked for, as multiples of the usual one; 0 is a stop."""
    window_ns: int = 6 * HOUR
    """Counts are compared over so long (`CountWatch`)."""
    history: HistoryPolicy = HistoryPolicy()

    def __post_init__(self) -> None:
        if not 2 <= self.least_hours <= 10_000:
            raise Misuse(f"least_hours is {self.least_hours}.", "Give hours from 2 to 10,000.")
        if not 0.0 <= self.least_per_hour <= 1e9:
            raise Misuse(f"least_per_hour is {self.least_per_hour}.", "Give events an hour from 0 to 10^9.")
        if not HOUR <= self.window_ns <= 168 * HOUR:
            raise Misuse(f"window_ns is {self.window_ns}.", "Give nanoseconds from an hour to a week.")
