"""Log-odds of base 10: for quantiles near 1, the number of nines (the book, ch. 7, "Combining Alerts"). Pure.

What is carried is not the quantile q but its distance from 1, the share of history that was stranger: near 1 a float q
has no digits left, its distance from 1 has all of them.
"""

import math

MOST_NINES = 12.0
"""Log-odds are cut here. Nothing is known so well, and a single signal must not be worth more than all others."""


def log_odds(quantile: float) -> float:
    """log10(q / (1 - q)): 2.99957 for 0.999, -2.99957 for 0.001, 0 for the median. 0 < `quantile` < 1."""
    return math.log10(quantile) - math.log10(1.0 - quantile)


def nines(stranger: float) -> float:
    """The same from the share of history that was stranger, 1 - q, cut at ± `MOST_NINES`."""
    least = 10.0**-MOST_NINES
    if stranger <= least:
        return MOST_NINES
    if stranger >= 1.0 - least:
        return -MOST_NINES
    return math.log10(1.0 - stranger) - math.log10(stranger)


def stranger(of_nines: float) -> float:
    """Back again: the share of history that is stranger."""
    return 1.0 / (1.0 + math.pow(10.0, of_nines))
