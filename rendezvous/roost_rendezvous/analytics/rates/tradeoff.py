"""What can be seen how soon: the price of few false alarms, printed. Pure.

The book, ch. 7: "you can't see changes that are (too) small (too) quickly without paying a price in errors ... a kind
of Heisenberg principle". Each rung of the ladder climbs, after a change, by so much an expected event; it has to climb
to the level. The reflection at zero gives it a head start of about one nat (the mean of a reflected sum at rest).
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from roost_rendezvous.analytics.rates.ladder import Ladder, information

SHOWN = (0.0, 0.5, 0.8, 1.25, 2.0, 4.0)
_HEAD_START = 1.0


class Delay(Struct, frozen=True):
    """How long one change takes to be seen."""

    ratio: float
    expected_events: float
    """Mean delay in events that were expected meanwhile; infinite where no rung climbs."""
    at_best: float
    """ln(events between false alarms) / information: what the book's n-th difference could reach with the best n."""
    hours: float | None = None
    """The same, at the rate given."""


def delays(
    ladder: Ladder, level: float, *, per_hour: float | None = None, weight: float = 1.0, ratios: Sequence[float] = SHOWN
) -> list[Delay]:
    """For a ladder that alarms at `level`.

    `per_hour`: events expected an hour. `weight`: of an event, below 1 on clumped streams (see `RateWatch`).
    """
    found = []
    for ratio in ratios:
        mean = expected_delay(ladder, level, ratio, weight)
        best = level * math.log(10.0) / information(ratio) if ratio != 1.0 else math.inf
        found.append(Delay(ratio, mean, best, mean / per_hour if per_hour else None))
    return found


def expected_delay(ladder: Ladder, level: float, ratio: float, weight: float = 1.0) -> float:
    """Mean expected events from a change to `ratio` until the ladder's surprise reaches `level`."""
    best = math.inf
    for rung, watched in enumerate(ladder.ratios):
        climb = _climb(watched, ratio)
        if climb > 0.0:
            best = min(best, max(ladder.height(rung, level) - _HEAD_START, 0.0) / (climb * weight))
    return best


def _climb(watched: float, ratio: float) -> float:
    """Of the rung for `watched`, an expected event. An event sets the stop's rung back: only a stop lets it climb."""
    if watched == 0.0:
        return float(ratio == 0.0)
    return ratio * math.log(watched) - (watched - 1.0)


def told(found: Sequence[Delay], level: float) -> str:
    """The trade-off for people, a line for each change."""
    lines = [f"at a level of {level:.2f} (by chance once in 10^{level:.1f} independent events)"]
    for delay in found:
        name = "stop" if delay.ratio == 0.0 else f"× {delay.ratio:g}"
        if math.isinf(delay.expected_events):
            lines.append(f"  {name:<7} never")
            continue
        after = f"  {name:<7} after {delay.expected_events:8.0f} expected events"
        lines.append(after if delay.hours is None else f"{after}, {delay.hours:.2g} hours")
    return "\n".join(lines)
