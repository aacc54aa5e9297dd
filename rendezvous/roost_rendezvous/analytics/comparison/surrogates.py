"""An early stand-in for a truth that comes late, and how well it has stood in so far (promise E5). Pure.

Whether a mail is answered within two hours says much about whether it is answered within thirty days (the book, ch. 5).
How much is measured: as truths come in, each is held against what the surrogate had said. An estimate that rests on a
surrogate says so, always, and carries that correlation; without one it is not corrected and not believed.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from roost_broker.errors import Misuse

ENOUGH = 30
"""Pairs of surrogate and truth below which there is no correlation."""
MOST_OPEN = 100_000
"""Surrogates kept until their truth comes; the oldest goes first, and is counted."""
MOST_PAIRS = 20_000
"""Pairs kept, the newest."""
_Z = 1.959963984540054


class Correlation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How surrogate and truth went together."""

    value: float
    low: float
    high: float
    """95 % interval (Fisher's transformation)."""
    pairs: int


class Estimated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A mean of what cannot be known yet."""

    mean: float
    error: float
    of: int
    by: str
    """`truth`, or `surrogate`: then it is no measurement."""
    surrogate: str = ""
    correlation: Correlation | None = None
    """None: not yet measured, so the mean is the surrogate's own."""
    corrected: bool = False
    """The surrogate's mean brought to the scale of the truth, by the pairs known so far."""
    caution: str = ""


class Surrogate:
    """One stand-in for one truth. Give both as numbers: 1 and 0 for yes and no."""

    def __init__(self, name: str, truth: str, *, most_open: int = MOST_OPEN, most_pairs: int = MOST_PAIRS) -> None:
        if most_open < 1 or most_pairs < ENOUGH:
            raise Misuse("A surrogate must be allowed to keep something.", f"most_pairs is at least {ENOUGH}.")
        self.name, self.truth_name = name, truth
        self._most_open, self._most_pairs = most_open, most_pairs
        self._open: OrderedDict[str, float] = OrderedDict()
        self._pairs: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.forgotten = 0
        """Surrogates whose truth did not come while they were kept."""
        self.unmatched = 0
        """Truths for which no surrogate was seen."""

    def observed(self, key: str, value: float) -> None:
        """What the surrogate says of a request (or a mail, a customer); again: the newest counts."""
        if key in self._pairs:
            return
        self._open[key] = value
        self._open.move_to_end(key)
        if len(self._open) > self._most_open:
            self._open.popitem(last=False)
            self.forgotten += 1

    def came_true(self, key: str, value: float) -> None:
        """The truth has come."""
        if key in self._pairs:
            self._pairs[key] = (self._pairs[key][0], value)
        elif key in self._open:
            self._pairs[key] = (self._open.pop(key), value)
            if len(self._pairs) > self._most_pairs:
                self._pairs.popitem(last=False)
        else:
            self.unmatched += 1

    @property
    def waiting(self) -> int:
        """Surrogates whose truth has not come."""
        return len(self._open)

    def correlation(self) -> Correlation | None:
        """As measured; None with too few pairs, or where one of the two never varies."""
        if len(self._pairs) < ENOUGH:
            return None
        early, late = np.array(list(self._pairs.values())).T
        a, b = early - early.mean(), late - late.mean()
        scale = math.sqrt(float(a @ a) * float(b @ b))
        if scale <= 0:
            return None
        value = max(-1.0, min(1.0, float(a @ b) / scale))
        centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
        half = _Z / math.sqrt(len(self._pairs) - 3)
        return Correlation(
            value=value, low=math.tanh(centre - half), high=math.tanh(centre + half), pairs=len(self._pairs)
        )

    def estimate(self, values: Iterable[float]) -> Estimated:
        """The mean of the truth behind these values of the surrogate. Raises `Misuse` for none."""
        early = np.array(list(values), dtype=np.float64)
        if not early.size:
            raise Misuse("Of no observation nothing can be estimated.")
        found = self.correlation()
        mean, spread = float(early.mean()), float(early.std(ddof=1)) if early.size > 1 else math.inf
        error = spread / math.sqrt(early.size)
        if found is None:
            return Estimated(
                mean=mean,
                error=error,
                of=int(early.size),
                by="surrogate",
                surrogate=self.name,
                caution=f"how well {self.name} stands in for {self.truth_name} is not measured yet "
                f"({len(self._pairs)} of {ENOUGH} pairs)",
            )
        slope, level, residual = self._line()
        about = float(np.mean([pair[0] for pair in self._pairs.values()]))
        width = float(np.var([pair[0] for pair in self._pairs.values()])) * len(self._pairs)
        # Uncertain are: these values, where the line is, and how steep it is away from its middle.
        error = math.sqrt((slope * error) ** 2 + residual**2 * (1 / len(self._pairs) + (mean - about) ** 2 / width))
        return Estimated(
            mean=level + slope * mean,
            error=error,
            of=int(early.size),
            by="surrogate",
            surrogate=self.name,
            correlation=found,
            corrected=True,
            caution="" if found.low > 0.5 else f"{self.name} says little of {self.truth_name}: {found.value:.2f}",
        )

    def snapshot(self) -> dict[str, Any]:
        """Plain values, to go on from."""
        return {
            "name": self.name,
            "truth": self.truth_name,
            "open": dict(self._open),
            "pairs": {key: list(pair) for key, pair in self._pairs.items()},
            "forgotten": self.forgotten,
            "unmatched": self.unmatched,
        }

    @classmethod
    def restore(cls, kept: dict[str, Any], *, most_open: int = MOST_OPEN, most_pairs: int = MOST_PAIRS) -> "Surrogate":
        """Go on from a snapshot."""
        one = cls(str(kept["name"]), str(kept["truth"]), most_open=most_open, most_pairs=most_pairs)
        one._open.update({str(key): float(value) for key, value in kept["open"].items()})
        one._pairs.update({str(key): (float(pair[0]), float(pair[1])) for key, pair in kept["pairs"].items()})
        one.forgotten, one.unmatched = int(kept["forgotten"]), int(kept["unmatched"])
        return one

    def _line(self) -> tuple[float, float, float]:
        """Least squares of truth on surrogate: slope, level, spread about it."""
        early, late = np.array(list(self._pairs.values())).T
        a, b = early - early.mean(), late - late.mean()
        slope = float(a @ b) / float(a @ a)
        rest = b - slope * a
        residual = math.sqrt(float(rest @ rest) / max(1, len(self._pairs) - 2))
        return slope, float(late.mean() - slope * early.mean()), residual


def measured(values: Iterable[float]) -> Estimated:
    """The same for truths themselves. Raises `Misuse` for none."""
    known = np.array(list(values), dtype=np.float64)
    if not known.size:
        raise Misuse("Of no observation nothing can be estimated.")
    error = float(known.std(ddof=1)) / math.sqrt(known.size) if known.size > 1 else math.inf
    return Estimated(mean=float(known.mean()), error=error, of=int(known.size), by="truth")
