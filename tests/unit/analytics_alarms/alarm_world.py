"""Monitors made up: weeks of surprises of known kind, and a core that has lived through them. Also for the benchmark.

A tick is ten minutes. What is quiet is quiet by construction, so that every alarm on it is a false one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from roost_rendezvous.analytics.alarms.core import AlarmCore
from roost_rendezvous.analytics.alarms.episode import Episode, Notice
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.reading import Reading, Signal, Subject

MINUTE = 60_000_000_000
TICK = 10 * MINUTE
DAY, WEEK = 144, 1008
"""In ticks."""
BEGAN = 1_790_000_000_000_000_000
Surprises = npt.NDArray[np.float64]


def signals(
    count: int = 20, subject: Subject = "model", task: str = "henhouse", of: str = "monitor"
) -> tuple[Signal, ...]:
    return tuple(Signal(task=task, kind="score", subject=subject, of=f"{of}{number}") for number in range(count))


def quiet(kind: str, ticks: int, rng: np.random.Generator, count: int = 20) -> Surprises:
    """Surprises of shape (ticks, count), at least 0.

    `independent`; `correlated` (a common factor of weight 0.8); `clustered` (each stays high or low for hours, with a
    long tail); `chronic` (four of them burst for an hour, 3 % of all time, each burst of another height).
    """
    noise = rng.normal(size=(ticks, count))
    if kind == "correlated":
        noise = 0.8 * rng.normal(size=(ticks, 1)) + 0.6 * noise
    if kind == "clustered":
        for tick in range(1, ticks):
            noise[tick] = 0.9 * noise[tick - 1] + np.sqrt(1 - 0.81) * noise[tick]
        noise *= np.exp(0.5 * rng.normal(size=noise.shape))
    found = np.abs(noise)
    if kind == "chronic":
        for column in range(4):
            for start in np.flatnonzero(rng.uniform(size=ticks) < 0.03 / 6):
                found[start : start + 6, column] *= 2.0 + rng.exponential(4.0)
    return found


class World:
    """A core and its time."""

    def __init__(self, of: Sequence[Signal], settings: AnalyticsAlarmSettings | None = None) -> None:
        self.core = AlarmCore(settings)
        self.of = tuple(of)
        self.now = BEGAN
        self.notices: list[Notice] = []

    def live(self, surprises: Surprises, **also: Any) -> list[Notice]:
        """A tick for each row; gives what was told."""
        told: list[Notice] = []
        for row in surprises:
            self.now += TICK
            told += self.core.handle(self.readings(row, **also), self.now)
        self.notices += told
        return told

    def readings(self, row: Surprises, **also: Any) -> list[Reading]:
        """One reading of each signal; `also`: other fields of the readings."""
        fields = {"events": 20, **also}
        return [
            Reading(signal=signal, at=self.now, surprise=float(value), **fields)
            for signal, value in zip(self.of, row, strict=True)
        ]

    def copy(self) -> "World":
        """The same at this moment, through a snapshot."""
        other = World(self.of, self.core.settings)
        other.core.restore(self.core.snapshot())
        other.now = self.now
        return other


def opened(notices: Sequence[Notice]) -> list[Episode]:
    """Pages."""
    return [notice.episode for notice in notices if notice.step == "opened"]


def ended(notices: Sequence[Notice]) -> list[Episode]:
    return [notice.episode for notice in notices if notice.step == "ended"]
