"""A/B groups compared from their sketches alone, and whether two choices act together (promise E16). Pure.

A sketch is anything that knows how many values it holds and what share of them lies below a value, such as the merged
10-minute sketches of a tag. No score is read again.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Protocol

import msgspec

POINTS = 64
"""Quantiles of both at which their shares are compared."""
_Z = 1.959963984540054


class Sketch(Protocol):
    """What is asked of a distribution."""

    @property
    def count(self) -> float:
        """How many values."""
        ...

    def quantile(self, q: float, /) -> float:
        """The value below which the share q lies."""
        ...

    def cdf(self, x: float, /) -> float:
        """The share below x."""
        ...


class Between(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two groups."""

    one: str
    other: str
    one_count: float
    other_count: float
    median_one: float
    median_other: float
    furthest: float
    """Largest difference of the shares below any value (Kolmogorov and Smirnov)."""
    at: float
    """Where that is."""
    p_value: float
    """Chance of so large a difference between equal groups (asymptotic)."""


class Interaction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the effect of one choice depends on the other, in shares above a threshold."""

    threshold: float
    effect_without: float
    """Of the first choice, without the second."""
    effect_with: float
    difference: float
    """`effect_with - effect_without`; 0: they do not act together."""
    low: float
    high: float
    """95 % interval."""
    found: bool
    """0 is outside the interval."""


def between(groups: Mapping[str, Sketch]) -> list[Between]:
    """Every pair of groups; those without values are left out."""
    named = {name: sketch for name, sketch in sorted(groups.items()) if sketch.count > 0}
    return [_between(one, other, named[one], named[other]) for one, other in combinations(named, 2)]


def interaction(neither: Sketch, first: Sketch, second: Sketch, both: Sketch, threshold: float) -> Interaction | None:
    """Of a 2 × 2 plan (schedule by cohort, say). None when one of the four groups is empty."""
    groups = (neither, first, second, both)
    if any(group.count <= 0 for group in groups):
        return None
    none, one, two, all_ = (1 - group.cdf(threshold) for group in groups)
    without, with_ = one - none, all_ - two
    variance = sum(
        share * (1 - share) / group.count for share, group in zip((none, one, two, all_), groups, strict=True)
    )
    half = _Z * math.sqrt(variance)
    difference = with_ - without
    return Interaction(
        threshold=threshold,
        effect_without=without,
        effect_with=with_,
        difference=difference,
        low=difference - half,
        high=difference + half,
        found=abs(difference) > half,
    )


def _between(name: str, other_name: str, one: Sketch, other: Sketch) -> Between:
    shares = [(place + 0.5) / POINTS for place in range(POINTS)]
    values = [sketch.quantile(share) for sketch in (one, other) for share in shares]
    apart = [(abs(one.cdf(value) - other.cdf(value)), value) for value in values]
    furthest, at = max(apart)
    return Between(
        one=name,
        other=other_name,
        one_count=one.count,
        other_count=other.count,
        median_one=one.quantile(0.5),
        median_other=other.quantile(0.5),
        furthest=furthest,
        at=at,
        p_value=_kolmogorov(furthest * math.sqrt(one.count * other.count / (one.count + other.count))),
    )


def _kolmogorov(scaled: float) -> float:
    """Chance of a larger scaled distance between samples of one distribution."""
    if scaled < 0.2:
        return 1.0
    terms = (math.copysign(2.0, k % 2 - 0.5) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms)))
