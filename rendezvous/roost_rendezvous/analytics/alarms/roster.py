"""All signals by row: how strange each is by its own history, and whether enough is known of it. Pure.

A signal that never spoke before gets a row. A reading is judged by what was known before it, then learnt; while the
signal is part of an open episode it is learnt aside, so that an alarm does not make itself usual. What was learnt aside
is added when the episode went by (bursts that come again and again *are* usual), or replaces what was known when it is
the new normal.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from roost_rendezvous.analytics.alarms.bins import SURPRISES, Floats, Whole
from roost_rendezvous.analytics.alarms.histories import Histories, filled, unfilled
from roost_rendezvous.analytics.alarms.new_normal import shifted
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.reading import Reading, Signal

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_MOST_GAP_NS = 6 * _HOUR_NS
"""Between two readings; what is longer was not watched."""


class Known(NamedTuple):
    """How much is known of a signal."""

    signal: Signal
    why_not: str
    """Empty: it may page."""


class Roster:
    """Rows of signals. `nines` is as of the last reading, `None` readings leave it as it was until it is too old."""

    def __init__(self, settings: AnalyticsAlarmSettings) -> None:
        self._settings = settings
        self.histories = Histories(SURPRISES, settings.ns("history_days"))
        self.signals: list[Signal] = []
        self.readings: list[Reading] = []
        """The last of each signal, that could say something; else the last at all."""
        self.left_out = 0
        """Readings of signals beyond `max_signals`, and such that are no number."""
        self._rows: dict[Signal, int] = {}
        self._priors: dict[int, tuple[Floats, int]] = {}
        """What a new normal began with, until there are a week's readings of its own."""
        self.nines = np.zeros(0)
        self.spoke = np.zeros(0, np.int64)
        """When each last had a surprise to tell."""
        self._watched = np.zeros(0, np.int64)
        self._count = np.zeros(0, np.int64)
        self._events = np.zeros(0)

    def take(self, readings: Iterable[Reading], now: int) -> Whole:
        """Judge and learn; gives the rows that spoke."""
        self.histories.tick(now)
        latest: dict[int, float] = {}
        for reading in readings:
            row = self._row(reading, now)
            if row is None:
                continue
            surprise = reading.surprise
            if surprise is None or surprise != surprise:
                self.left_out += surprise is not None
                if self._count[row] == 0:
                    self.readings[row] = reading
                continue
            if row in latest:  # two of one signal in a tick: the stranger one counts
                if surprise <= latest[row]:
                    continue
            else:
                self._watch(row, reading, now)
            latest[row] = max(0.0, surprise)
            self.readings[row] = reading
        rows = np.fromiter(latest, np.intp, len(latest))
        values = np.minimum(np.fromiter(latest.values(), float, len(latest)), SURPRISES.high)
        self.nines[rows] = self.histories.nines(rows, values)
        self.histories.learn(rows, values)
        self._drop_priors()
        return rows

    def active(self, now: int) -> Whole:
        """Rows that are known well enough and have spoken lately."""
        settings = self._settings
        rate = self._events / np.maximum(self._watched / _HOUR_NS, 1e-9)
        known = (self._watched >= settings.ns("least_history_days")) & (self._count >= settings.least_readings)
        enough = (self._events == 0) | (rate >= settings.least_events_per_hour)
        fresh = now - self.spoke <= settings.ns("hold_minutes")
        return np.flatnonzero((known & enough & fresh)[: len(self.signals)])

    def known(self, row: int) -> Known:
        """Why a signal cannot page, for people."""
        settings, signal, last = self._settings, self.signals[row], self.readings[row]
        days = float(self._watched[row]) / _DAY_NS
        if self._count[row] == 0:
            return Known(signal, last.why_not or "not enough history: it has not said anything yet")
        if days < settings.least_history_days:
            return Known(signal, f"not enough history: {days:.1f} of {settings.least_history_days:g} days")
        if self._count[row] < settings.least_readings:
            return Known(signal, f"not enough history: {self._count[row]} of {settings.least_readings} readings")
        rate = float(self._events[row]) / (days * 24.0)
        if 0 < rate < settings.least_events_per_hour:
            return Known(signal, f"not enough events: {rate:.2g} of {settings.least_events_per_hour:g} an hour")
        return Known(signal, "")

    def new_normal(self, rows: Iterable[int]) -> None:
        """What it is now is usual from now on."""
        for row in map(int, rows):
            aside = self.histories.take_aside(row)
            if aside is None:
                continue
            old = self.histories.weight(row)
            prior = shifted(old, aside)
            if prior is None:
                self.histories.add(row, aside)
                continue
            self.histories.put(row, prior + aside)
            self._priors[row] = (prior, int(self._watched[row]))
            self.nines[row] = 0.0

    def _row(self, reading: Reading, now: int) -> int | None:
        row = self._rows.get(reading.signal)
        if row is not None:
            return row
        if len(self.signals) >= self._settings.max_signals:
            self.left_out += 1
            return None
        row = len(self.signals)
        self._rows[reading.signal] = row
        self.signals.append(reading.signal)
        self.readings.append(reading)
        self._grow(row + 1, now)
        return row

    def _grow(self, rows: int, now: int) -> None:
        self.histories.grow(rows)
        more = self.histories.rows - len(self.nines)
        if more > 0:
            self.nines = np.concatenate([self.nines, np.zeros(more)])
            self.spoke = np.concatenate([self.spoke, np.full(more, now, np.int64)])
            self._watched = np.concatenate([self._watched, np.zeros(more, np.int64)])
            self._count = np.concatenate([self._count, np.zeros(more, np.int64)])
            self._events = np.concatenate([self._events, np.zeros(more)])

    def _watch(self, row: int, reading: Reading, now: int) -> None:
        if self._count[row]:
            self._watched[row] += min(max(0, now - int(self.spoke[row])), _MOST_GAP_NS)
            self._events[row] += reading.events
        self._count[row] += 1
        self.spoke[row] = now

    def _drop_priors(self) -> None:
        least = self._settings.ns("least_history_days")
        for row, (prior, since) in list(self._priors.items()):
            gone = int(self._watched[row]) - since
            if gone >= least:
                fade = np.float32(np.exp(-gone / self._settings.ns("history_days")))
                self.histories.put(row, np.maximum(self.histories.weight(row) - prior * fade, 0.0))
                del self._priors[row]

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        count = len(self.signals)
        return {
            "readings": [msgspec.to_builtins(reading) for reading in self.readings],
            "histories": self.histories.snapshot(),
            "nines": self.nines[:count].tolist(),
            "spoke": self.spoke[:count].tolist(),
            "watched": self._watched[:count].tolist(),
            "count": self._count[:count].tolist(),
            "events": self._events[:count].tolist(),
            "leftOut": self.left_out,
            "priors": {str(row): [filled(weights), since] for row, (weights, since) in self._priors.items()},
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self.readings = [msgspec.convert(reading, Reading) for reading in kept["readings"]]
        self.signals = [reading.signal for reading in self.readings]
        self._rows = {signal: row for row, signal in enumerate(self.signals)}
        self.histories.restore(kept["histories"])
        self.nines, self.spoke = np.zeros(0), np.zeros(0, np.int64)
        self._watched, self._count, self._events = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        self._grow(len(self.signals), 0)
        count = len(self.signals)
        self.nines[:count], self.spoke[:count] = kept["nines"], kept["spoke"]
        self._watched[:count], self._count[:count] = kept["watched"], kept["count"]
        self._events[:count] = kept["events"]
        self.left_out = kept["leftOut"]
        self._priors = {
            int(row): (unfilled(bins, SURPRISES.count), since) for row, (bins, since) in kept["priors"].items()
        }
