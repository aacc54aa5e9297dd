"""The book's own measure: time since the n-th last event, for several n at once. Pure.

`rate * (now - t[i-n+1])`, ch. 7: with n = 1 it is the time since the last event, the best there is for a stop; small n
finds large decreases, larger n small ones and increases. Evaluated at an event for increases (n events came in too
short a time) and at any time for decreases (n events took too long).

Times of different n are made comparable by the likelihood ratio: `n` events within `x` expected ones tell
`x - n - n ln(x / n)` nats against the prediction (a monotone function of the book's measure, and of a chi-squared
quantile). The surprise is the largest over all n, one-sided each, in powers of ten.

`ladder` needs no choice of n, less memory, and is sooner; this one can be explained by pointing at a plot (fig. 7-1).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.profile import Floats

ORDERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_LN10 = math.log(10.0)
_MOST = 2_000
"""Longest order: 8 bytes are kept for each."""


class Difference(NamedTuple):
    """One order's measure now."""

    order: int
    expected: float
    """Expected events since the n-th last event: the book's `rate * (now - t[i-n+1])`."""
    against: float
    """Nats against the prediction; larger is stranger."""


class Orders:
    """The last events of a stream, by the number of expected events that had gone by when they came."""

    def __init__(self, orders: Sequence[int] = ORDERS) -> None:
        """Raises Misuse for orders that cannot be kept."""
        if not orders or min(orders) < 1 or max(orders) > _MOST or any(a >= b for a, b in pairwise(orders)):
            raise Misuse(f"These orders cannot be kept: {list(orders)}.", f"Give rising numbers from 1 to {_MOST:,}.")
        self.orders = tuple(orders)
        self._n = np.asarray(orders, dtype=np.float64)
        self._place = np.asarray(orders, dtype=np.int64)
        self._ring = np.zeros(max(orders) + 1, dtype=np.float64)
        self._seen = 0
        self._now = 0.0
        self._shared = math.log10(2.0 * len(orders))

    def elapse(self, expected: float) -> None:
        """So many expected events' worth of time went by."""
        self._now += expected

    def occur(self) -> None:
        """An event came."""
        self._ring[self._seen % len(self._ring)] = self._now
        self._seen += 1

    def differences(self) -> list[Difference]:
        """Each order's measure at this moment; none for orders longer than the history."""
        spans, against = self._measures()
        return [
            Difference(n, float(x), float(g)) for n, x, g in zip(self.orders, spans, against, strict=False) if x >= 0.0
        ]

    @property
    def surprise(self) -> float:
        """The strangest order's nats as a power of ten, less what looking at many orders costs."""
        _, against = self._measures()
        return max(0.0, float(against.max(initial=0.0)) / _LN10 - self._shared)

    def _measures(self) -> tuple[Floats, Floats]:
        """Expected events since the n-th last one, and the nats against, for the orders that history allows.

        At an event the n-th last is the n-th before it, for the event itself has just closed the interval; between
        events the open interval counts as one more that has not ended.
        """
        known = self._place[self._place < self._seen]
        size = len(self._ring)
        since = self._now - self._ring[(self._seen - 1 - known) % size]
        if self._seen and self._now == self._ring[(self._seen - 1) % size]:
            count = self._n[: len(known)]
            spans = np.maximum(since, 1e-9)
        else:
            # n intervals of which the last is still open: it may only speak for a decrease.
            count = self._n[: len(known)]
            spans = np.maximum(self._now - self._ring[(self._seen - known) % size], 1e-9)
            spans = np.where(spans > count, spans, count)
        return spans, spans - count - count * np.log(spans / count)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON: how long ago each remembered event was, in expected events."""
        held = min(self._seen, len(self._ring))
        places = (self._seen - 1 - np.arange(held)) % len(self._ring)
        return {"orders": list(self.orders), "ago": [round(float(x), 6) for x in self._now - self._ring[places]]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave; of other orders it is ignored."""
        if tuple(kept.get("orders", ())) != self.orders:
            return
        ago = [float(value) for value in kept.get("ago", ())][: len(self._ring)]
        self._now, self._seen = (max(ago) if ago else 0.0), len(ago)
        for place, value in enumerate(reversed(ago)):
            self._ring[place] = self._now - value
