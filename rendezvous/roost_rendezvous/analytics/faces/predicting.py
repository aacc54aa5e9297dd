"""Hours beside what the hours before them let expect: the band of the plot of rates. Pure."""

from collections.abc import Mapping

from roost_rendezvous.analytics.faces.values import Rate
from roost_rendezvous.analytics.rates.seasonal import Seasonal

HOUR = 3_600 * 1_000_000_000
_LEAST_HOURS = 192
"""Eight days: a band needs a week of its own, and something to be drawn over."""
_MOST_HOURS = 24 * 400


def predicted(hours: Mapping[int, int], start: int, end: int) -> tuple[Rate, ...] | None:
    """Whole hours (by number since 1970) with what each should have brought; None: too few for that, or far too many.

    Every forecast is made before its hour is learnt, so a band never knows what it is held against.
    """
    first, last = -(-start // HOUR), end // HOUR
    if not _LEAST_HOURS <= last - first <= _MOST_HOURS:
        return None
    model = Seasonal()
    found = []
    for hour in range(first, last):
        seen = hours.get(hour, 0)
        said = model.forecast(hour)
        known = said is not None and not said.why_not
        found.append(
            Rate(
                start=hour * HOUR,
                end=(hour + 1) * HOUR,
                seen=seen,
                expected=said.expected if said is not None and known else None,
                low=said.low if said is not None and known else None,
                high=said.high if said is not None and known else None,
            )
        )
        model.learn(hour, float(seen))
    return tuple(found)
