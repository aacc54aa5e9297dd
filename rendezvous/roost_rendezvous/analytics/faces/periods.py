"""Periods and bins of reports: how long, how many, and a latency histogram as plain values. Pure."""

from roost_rendezvous.analytics.faces.telling import TIMED
from roost_rendezvous.analytics.faces.values import Histogram
from roost_rendezvous.analytics.sketches.latency import EDGES_MS, LatencyHistogram

SECOND = 1_000_000_000
MOST_PERIODS = 240
_WIDTHS_S = (1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 86_400, 604_800)
__all__ = ["MOST_PERIODS", "SECOND", "TIMED", "histogram", "width"]


def width(start: int, end: int) -> int:
    """The shortest round period of which at most `MOST_PERIODS` fill the time, in nanoseconds (or rows)."""
    if start < TIMED:
        return max(1, -(-(end - start) // 60))
    for seconds in _WIDTHS_S:
        if (end - start) <= MOST_PERIODS * seconds * SECOND:
            return seconds * SECOND
    return -(-(end - start) // MOST_PERIODS)


def histogram(found: LatencyHistogram) -> Histogram:
    """A latency histogram as plain values, from its first to its last bin that holds anything."""
    edges = [
        min(found.shortest_ms, float(EDGES_MS[0])),
        *map(float, EDGES_MS),
        max(found.longest_ms, float(EDGES_MS[-1])),
    ]
    counts = list(map(float, found.counts))
    if not found.above:
        counts.pop()
        edges.pop()
    if not found.below:
        counts.pop(0)
        edges.pop(0)
    there = [nth for nth, count in enumerate(counts) if count]
    first, last = (there[0], there[-1] + 1) if there else (0, len(counts))
    edges = edges[first : last + 1]
    if edges[0] <= 0:
        edges[0] = edges[1] / 2
    return Histogram(edges=tuple(edges), counts=tuple(counts[first:last]))
