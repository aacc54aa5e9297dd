"""The book's repair of coordinated omission: short windows of equal weight. Pure; for comparison.

"Measure latency distributions in short time periods of, say, five seconds. These windowed values are then combined
after normalizing the counts in the window to a standardized value. Windows that have no counts are assigned counts
that are duplicates of the next succeeding nonzero window" (ch. 7). The next window after a hold is full of good
requests, so the hold stays nearly invisible: docs/sketches.md has the figures. `omission` is what to use.
"""

import numpy as np
import numpy.typing as npt

from roost_rendezvous.analytics.sketches.latency import LatencyHistogram


def of_equal_windows(
    completed_s: npt.ArrayLike, latency_ms: npt.ArrayLike, *, start_s: float, end_s: float, window_s: float = 5.0
) -> LatencyHistogram:
    """Latencies by the time of their completion, each window weighing 1; what lies outside the run is left out.

    Empty windows at the end have no successor and stay empty. Raises ValueError for a run or window of no length, or
    one of more than a million windows.
    """
    if not (end_s > start_s and window_s > 0.0 and (end_s - start_s) / window_s <= 1e6):
        raise ValueError(f"from {start_s} to {end_s} in windows of {window_s} s: give up to a million windows")
    at = np.asarray(completed_s, dtype=np.float64).ravel()
    ms = np.asarray(latency_ms, dtype=np.float64).ravel()
    windows = int(np.ceil((end_s - start_s) / window_s))
    inside = (at >= start_s) & (at < end_s)
    index = ((at[inside] - start_s) / window_s).astype(np.int64).clip(0, windows - 1)
    counts = np.bincount(index, minlength=windows)
    filled = np.flatnonzero(counts)
    # How many windows each non-empty one stands for: itself, and the empty ones right before it.
    stands_for = np.diff(np.concatenate(([-1], filled)))
    weight = np.zeros(windows)
    weight[filled] = stands_for / counts[filled]
    return LatencyHistogram.of(ms[inside], weight[index])
