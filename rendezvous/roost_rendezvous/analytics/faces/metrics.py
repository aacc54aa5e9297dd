"""What a scraper may know, as metric families: counters, gauges, histograms. Pure.

Rules:

1. A label's values are names from the settings or the device's own words (task, model, cause, label of an answer), and
   of each family at most `MOST` combinations are kept; what comes beside them is counted under `(others)`. A name that
   somebody makes up can so never fill a database.
2. Names, units and suffixes are those of OpenMetrics 1.0: seconds, bytes, ratios; counters end with `_total`.
3. Counters begin with this process; `process_start_time_seconds` says when.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from roost_rendezvous.analytics.faces.exponential import Exponential

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]
MOST = 2_000
"""Combinations of labels of one family."""
_LONGEST = 120
OTHERS = "(others)"
Labels: TypeAlias = tuple[str, ...]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric with all its label values."""

    name: str
    """Without `_total`, `_bucket`, `_info`."""
    kind: Kind
    help: str
    labels: Labels = ()
    samples: tuple[tuple[Labels, "float | Exponential"], ...] = ()
    unit: str = ""


class Counted:
    """A counter that only grows, by labels."""

    def __init__(self, name: str, said: str, *labels: str, unit: str = "") -> None:
        self._family = name, said, labels, unit
        self._values: dict[Labels, float] = {}

    def add(self, *values: str, by: float = 1.0) -> None:
        """See rule 1."""
        key = _kept(values, self._values)
        self._values[key] = self._values.get(key, 0.0) + by

    def told(self) -> Family:
        """As it stands."""
        name, said, labels, unit = self._family
        return Family(
            name=name, kind="counter", help=said, labels=labels, unit=unit, samples=tuple(sorted(self._values.items()))
        )


class Timed:
    """Durations, by labels."""

    def __init__(self, name: str, said: str, *labels: str) -> None:
        self._family = name, said, labels
        self._values: dict[Labels, Exponential] = {}

    def add(self, seconds: float, *values: str) -> None:
        """See rule 1; a histogram takes some kB, so a tenth as many are kept."""
        key = _kept(values, self._values, MOST // 10)
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = Exponential()
        found.add(seconds)

    def told(self) -> Family:
        """As it stands."""
        name, said, labels = self._family
        ordered = sorted(self._values.items(), key=lambda one: one[0])
        return Family(name=name, kind="histogram", help=said, labels=labels, unit="seconds", samples=tuple(ordered))


def gauge(name: str, said: str, labels: Labels, samples: Iterable[tuple[Labels, float]], *, unit: str = "") -> Family:
    """A family of gauges of this moment; at most `MOST` of them, the first by order."""
    kept: dict[Labels, float] = {}
    for values, number in samples:
        if len(kept) < MOST:
            kept[tuple(value[:_LONGEST] for value in values)] = float(number)
    return Family(name=name, kind="gauge", help=said, labels=labels, unit=unit, samples=tuple(sorted(kept.items())))


def _kept(values: Labels, known: "dict[Labels, float] | dict[Labels, Exponential]", most: int = MOST) -> Labels:
    key = tuple(value[:_LONGEST] for value in values)
    return key if key in known or len(known) < most else (OTHERS,) * len(values)
