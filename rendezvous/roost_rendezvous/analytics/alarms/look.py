"""All signals at one tick: split from what they do together, with their mean over the last hour. Pure."""

from typing import Any, NamedTuple

import numpy as np

from roost_rendezvous.analytics.alarms.bins import LASTING, Floats, Whole
from roost_rendezvous.analytics.alarms.common import MOST_FACTORS, Common
from roost_rendezvous.analytics.alarms.composite import combine
from roost_rendezvous.analytics.alarms.histories import Histories
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings

_USUAL = float(np.log10(2.0))
"""Mean urgency of a signal that is as usual."""
_MOST = 2.0
"""More counts as this in a mean over time: it tells what lasts, and one scream does not last."""


class Look(NamedTuple):
    """What is known well enough, at one moment. Arrays are by signal, in the order of `rows`."""

    rows: Whole
    nines: Floats
    """Log-odds by each signal's own history."""
    lasting: Floats
    """Mean of their positive part, 2 at most, over the last hour."""
    beside: Floats
    """Log-odds beside the others; the same as `nines` while nothing is common."""
    beside_lasting: Floats
    """How strange that mean is by the signal's own history, as log-odds."""
    together: Floats
    """Log-odds of the common factors."""
    together_lasting: Floats
    split: bool
    """Whether a common factor was taken away."""

    def statistics(self, without: frozenset[int] = frozenset()) -> Floats:
        """The five ways of looking, without some rows (and then without the factors, which those have part in)."""
        if not without:
            return combine(
                np.concatenate([self.together, self.beside]),
                np.concatenate([self.together_lasting, self.beside_lasting]),
            )
        rest = ~np.isin(self.rows, list(without))
        return combine(self.beside[rest], self.beside_lasting[rest])


class Looking:
    """Keeps the means and the common factors."""

    def __init__(self, settings: AnalyticsAlarmSettings) -> None:
        self.common = Common(settings.max_common, settings.ns("history_days"), settings.ns("least_calibration_hours"))
        self._over = settings.ns("lasting_minutes")
        self._now: int | None = None
        self._raw = np.zeros(0)
        self._beside = np.zeros(0)
        self._together = np.full(MOST_FACTORS, _USUAL)
        # Rows of the factors come first. What lasts is judged by its own history too: of a signal that comes in
        # bursts of an hour, an hour's burst is nothing.
        self._lasting = Histories(LASTING, settings.ns("history_days"))
        self._lasting.grow(MOST_FACTORS)
        self._least = settings.least_readings

    def tick(self, rows: Whole, nines: Floats, learning: Whole, now: int) -> Look:
        """`rows` are known well enough; `learning` have just spoken."""
        gone = 0 if self._now is None else max(0, now - self._now)
        self._now = now
        share = 1.0 - float(np.exp(-gone / self._over))
        split = self.common.tick(rows, nines, learning, now)
        self._grow(int(rows.max()) + 1 if len(rows) else 0)
        away = np.ones(len(self._raw), bool)
        away[rows] = False
        for means, values in ((self._raw, nines), (self._beside, split.beside)):
            means[rows] += share * (np.clip(values, 0.0, _MOST) - means[rows])
            means[away] = _USUAL
        count = len(split.together)
        self._together[:count] += share * (np.clip(split.together, 0.0, _MOST) - self._together[:count])
        self._together[count:] = _USUAL
        hours = self._hours(rows, count, learning, now)
        return Look(
            rows,
            nines,
            self._raw[rows],
            split.beside,
            hours[count:],
            split.together,
            hours[:count],
            self.common.in_use,
        )

    def _hours(self, rows: Whole, factors: int, learning: Whole, now: int) -> Floats:
        """Log-odds of the mean of the last hour: of the factors, then of `rows`. 0 while little is known of it."""
        self._lasting.tick(now)
        which = np.concatenate([np.arange(factors), rows + MOST_FACTORS])
        means = np.concatenate([self._together[:factors], self._beside[rows]])
        found = np.where(self._lasting.known(which) >= self._least, self._lasting.nines(which, means), 0.0)
        learns = np.concatenate([np.ones(factors, bool), np.isin(rows, learning)])
        self._lasting.learn(which[learns], means[learns])
        return found

    @property
    def bytes_per_row(self) -> int:
        """Memory of one signal here, what is common left out."""
        return self._lasting.bytes_per_row + 2 * 8

    def set_aside(self, rows: set[int]) -> None:
        """Signals that are part of an open episode; see `Histories.set_aside`."""
        self.common.own.set_aside(rows)
        self._lasting.set_aside(row + MOST_FACTORS for row in rows)

    def went_by(self, rows: set[int]) -> None:
        """They are as they were."""
        self.common.own.went_by(rows)
        self._lasting.went_by(row + MOST_FACTORS for row in rows)

    def lasting(self, row: int) -> float:
        """The mean urgency of a row over the last hour."""
        return float(self._raw[row]) if row < len(self._raw) else _USUAL

    def forget(self, rows: set[int]) -> None:
        """A new normal: what was strange of these in the last hour is so no more, and not to be remembered."""
        for row in rows:
            self.common.own.take_aside(row)
            self._lasting.take_aside(row + MOST_FACTORS)
            if row < len(self._raw):
                self._raw[row] = self._beside[row] = _USUAL

    def _grow(self, rows: int) -> None:
        more = rows - len(self._raw)
        if more > 0:
            self._raw = np.concatenate([self._raw, np.full(more, _USUAL)])
            self._beside = np.concatenate([self._beside, np.full(more, _USUAL)])
            self._lasting.grow(rows + MOST_FACTORS)

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "common": self.common.snapshot(),
            "now": self._now,
            "raw": self._raw.tolist(),
            "beside": self._beside.tolist(),
            "together": self._together.tolist(),
            "lasting": self._lasting.snapshot(),
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self.common.restore(kept["common"])
        self._now = kept["now"]
        self._raw, self._beside = np.array(kept["raw"], float), np.array(kept["beside"], float)
        self._together = np.array(kept["together"], float)
        self._lasting.restore(kept["lasting"])
