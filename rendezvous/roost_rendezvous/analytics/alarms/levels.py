"""How many episodes a week each threshold would have made: counted for all thresholds at once. Pure.

Alarms come in runs: a statistic that is high now is high in a minute too. So quantiles of readings do not tell how
often somebody is called. What tells it is counted here, by the very rule by which episodes are made: an episode of a
level begins when the statistic reaches it and has not reached it for the calm time. What independence or a normal
distribution would say does not enter; correlated and clustered statistics count as they come (requirements §4.2, §4.3).
"""

from typing import Any

import numpy as np

from roost_rendezvous.analytics.alarms.bins import Bins, Floats

WEEK_NS = 7 * 86_400_000_000_000
LEVELS = Bins(-4.0, 40.0, 880)
_NEVER = -(2**62)
_MOST_GAP_NS = 6 * 3_600_000_000_000
"""Between two ticks; what is longer was not watched."""
_ANCHOR = 8.0
"""Above the highest level that was reached so often, the rate goes on falling exponentially, as it did below."""
_FEW, _MANY = 4.0, 40.0
"""The fall is measured between levels that were reached so often. A handful of great alarms does not tilt it."""
_LEAST = 3.0
_REFRESH_EVERY_NS = 6 * 3_600_000_000_000


class EpisodeLevels:
    """Counts for `statistics` statistics. `calm_ns`: the gap between two episodes; `mean_life_ns`: counts fade."""

    def __init__(self, statistics: int, calm_ns: int, mean_life_ns: int) -> None:
        self._calm = calm_ns
        self._mean_life = mean_life_ns
        self._counts = np.zeros((statistics, LEVELS.count))
        self._last = np.full((statistics, LEVELS.count), _NEVER, np.int64)
        self._weeks = 0.0
        self._unfaded = 0
        """Watched since counts were faded last."""
        self._now: int | None = None
        self._refreshed: int | None = None
        self._table = np.full((statistics, LEVELS.count), np.nan)
        self._judged_by: tuple[Floats, float] | None = None
        """Counts and weeks that the table was made of: whoever restores it judges as if he had never ended."""

    @property
    def weeks(self) -> float:
        """How long was watched; fades as the counts do."""
        return self._weeks

    def tick(self, values: Floats, now: int) -> None:
        """One value of each statistic, shape (statistics,)."""
        gone = 0 if self._now is None else min(max(0, now - self._now), _MOST_GAP_NS)
        if self._now is not None and now < self._now:  # the clock was set back: what was last reached was before
            self._last = np.minimum(self._last, now)
        self._now = now
        self._weeks += gone / WEEK_NS
        bins, _ = LEVELS.place(values)
        for counts, last, bin_ in zip(self._counts, self._last, bins, strict=True):
            counts[: bin_ + 1] += now - last[: bin_ + 1] > self._calm
            last[: bin_ + 1] = now
        self._unfaded += gone
        if self._refreshed is None or abs(now - self._refreshed) >= _REFRESH_EVERY_NS:
            self._refreshed = now
            fade = np.exp(-self._unfaded / self._mean_life)
            self._counts *= fade
            self._weeks *= fade
            self._unfaded = 0
            self._judge_by(self._counts.copy(), self._weeks)

    def per_week(self, values: Floats) -> Floats:
        """log10 of how often a week each statistic makes an episode at its value or above; nan: not known yet."""
        bins, inside = LEVELS.place(values)
        rows = np.arange(len(self._table))
        after = np.minimum(bins + 1, LEVELS.count - 1)
        found: Floats = (1.0 - inside) * self._table[rows, bins] + inside * self._table[rows, after]
        return found

    def level(self, statistic: int, per_week: float) -> float:
        """The lowest level above which `statistic` makes no more than `per_week` episodes; inf: not known yet."""
        row = self._table[statistic]
        if np.isnan(row[0]):
            return float("inf")
        over = np.flatnonzero(row > np.log10(per_week))
        # A budget that no level uses up: the highest of those that make most. Lower, episodes only grow into one.
        first = int(over[-1]) if len(over) else int(np.flatnonzero(row >= row[0] - 0.01)[-1])
        if first >= LEVELS.count - 1:
            return float(LEVELS.edges[-1])
        high, low = row[first], row[first + 1]
        share = 0.0 if high <= low else (high - np.log10(per_week)) / (high - low)
        return float(LEVELS.edges[first] + min(1.0, max(0.0, share)) * (LEVELS.edges[1] - LEVELS.edges[0]))

    def _judge_by(self, counts: Floats, weeks: float) -> None:
        self._judged_by = counts, weeks
        self._table = _rates(counts, weeks)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        counts, weeks = self._judged_by or (self._counts, self._weeks)
        return {
            "now": self._now,
            "refreshed": self._refreshed,
            "weeks": self._weeks,
            "unfaded": self._unfaded,
            "counts": [_runs(row.round(4)) for row in self._counts],
            "last": [_runs(row) for row in self._last],
            "table": {"counts": [_runs(row.round(4)) for row in counts], "weeks": weeks},
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self._now, self._refreshed, self._weeks = kept["now"], kept["refreshed"], kept["weeks"]
        self._unfaded = kept["unfaded"]
        self._counts = np.array([_unrun(row) for row in kept["counts"]], np.float64)
        self._last = np.array([_unrun(row) for row in kept["last"]], np.int64)
        table = kept.get("table", kept)  # an older save is without
        self._judge_by(np.array([_unrun(row) for row in table["counts"]], np.float64), table["weeks"])


def _rates(counts: Floats, weeks: float) -> Floats:
    """log10 episodes a week of each statistic at each level, falling with the level."""
    weeks = max(weeks, 1e-9)
    counts = np.maximum.accumulate(counts[:, ::-1], axis=1)[:, ::-1]
    table = np.full(counts.shape, np.nan)
    for row, reached in zip(table, counts, strict=True):
        most = reached[0]
        if most < _LEAST:
            continue
        row[:] = np.log10(np.maximum(reached, 1e-9) / weeks)
        anchor = _last_at_least(reached, min(_ANCHOR, most))
        few = _last_at_least(reached, min(_FEW, most / 2.0))
        many = _last_at_least(reached, min(_MANY, most))
        step = LEVELS.edges[1] - LEVELS.edges[0]
        apart = max(few - many, 1) * step
        fall = (np.log10(reached[many]) - np.log10(reached[few])) / apart
        beyond = np.arange(anchor, LEVELS.count)
        row[beyond] = row[anchor] - max(fall, 0.05) * (beyond - anchor) * step
    return table


def _last_at_least(reached: Floats, wanted: float) -> int:
    """The highest level with that count; counts fall with the level."""
    return max(0, int((reached >= wanted).sum()) - 1)


def _runs(row: Any) -> list[list[Any]]:
    """[[value, how often], ...]: neighbouring levels mostly have the same."""
    found: list[list[Any]] = []
    for value in row.tolist():
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return found


def _unrun(runs: list[list[Any]]) -> list[Any]:
    return [value for value, times in runs for _ in range(times)]
