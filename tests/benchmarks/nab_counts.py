"""The count series of the Numenta Anomaly Benchmark, and how alarms are scored against its labelled windows."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HOUR = 3600 * 1_000_000_000
WEEK = 168 * HOUR
_TOGETHER = 6 * HOUR
_LEAST_PER_HOUR = 30.0


@dataclass(frozen=True)
class Series:
    """Counts in equal bins; gaps are bins of 0, as the benchmark's own files have it."""

    name: str
    at: list[int]
    counts: list[float]
    width: int
    windows: list[tuple[int, int]]

    @property
    def mean_per_hour(self) -> float:
        """Events."""
        return float(np.mean(self.counts)) * HOUR / self.width

    def score(self, alarms: Sequence[int], start: int) -> tuple[int, int, int, float]:
        """Windows found, windows not over before `start`, false alarms, weeks judged."""
        windows = [window for window in self.windows if window[1] > start]
        found = sum(any(first <= alarm <= last for alarm in alarms) for first, last in windows)
        false, before = 0, None
        for alarm in alarms:
            if before is None or alarm - before > _TOGETHER:
                false += not any(first <= alarm <= last for first, last in self.windows)
            before = alarm
        return found, len(windows), false, (self.at[-1] - start) / WEEK

    def events(self, seed: int) -> list[int]:
        """The same as single events, spread evenly in their bin."""
        draw = np.random.default_rng(seed)
        parts = [
            start + draw.integers(0, self.width, int(count)) for start, count in zip(self.at, self.counts, strict=True)
        ]
        return [int(moment) for moment in np.sort(np.concatenate(parts))]


def judged_series(folder: Path, *names: str) -> list[Series]:
    """Those with enough events to be judged (requirement G19) and of more than two weeks; `names`: only these."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    paths = [
        *sorted((folder / "data" / "realTweets").glob("*.csv")),
        folder / "data" / "realKnownCause" / "nyc_taxi.csv",
    ]
    found = [_read(path, labels[f"{path.parent.name}/{path.name}"]) for path in paths]
    return [one for one in found if one.mean_per_hour >= _LEAST_PER_HOUR and (not names or one.name in names)]


def hourly(series: Series) -> tuple[int, np.ndarray]:
    """Number of the first hour since 1970, and the counts of all hours, shape (hours,)."""
    hours = np.asarray([at // HOUR for at in series.at])
    counts = np.zeros(int(hours[-1] - hours[0]) + 1)
    np.add.at(counts, hours - hours[0], series.counts)
    return int(hours[0]), counts


def _read(path: Path, windows: list[list[str]]) -> Series:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    at = [_moment(row[0]) for row in rows]
    width = int(np.median(np.diff(at)))
    bins = np.asarray([(moment - at[0]) // width for moment in at])
    counts = np.zeros(int(bins[-1]) + 1)
    np.add.at(counts, bins, [float(row[1]) for row in rows])
    return Series(
        name=path.stem,
        at=[at[0] + width * place for place in range(len(counts))],
        counts=[float(count) for count in counts],
        width=width,
        windows=[(_moment(first), _moment(last)) for first, last in windows],
    )


def _moment(text: str) -> int:
    stamp = datetime.fromisoformat(text.split(".")[0]).replace(tzinfo=UTC)
    return int(stamp.timestamp()) * 1_000_000_000
