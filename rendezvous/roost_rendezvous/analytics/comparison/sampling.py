"""Which differing requests to look at: a sample stratified by how far the answers are apart (promise E4). Pure.

A simple random sample of differing requests is mostly tiny differences that decide nothing. Here they are put into
strata by kind and size of the difference, and more are drawn where more can be at stake (Neyman's allocation with
the size of the difference in the place of the unknown spread). Every draw carries the weight that makes the estimate
unbiased again (Cochran, Sampling Techniques, ch. 5).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from roost_broker.errors import Misuse

EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5)
"""Where strata of the difference begin; differences of quantiles or scores, from 0 to 1."""
LEAST = 2
"""Drawn of each stratum at least (as far as it has them): with one alone its spread stays unknown."""
SAME_LABEL = 0.1
"""What a difference counts that leaves the best label as it is."""


class Stratum(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Differing requests of one kind."""

    name: str
    size: int
    """How many there are."""
    drawn: int
    """How many are in the sample."""
    weight: float
    """How many each of the sample stands for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`chosen` are indices of the differing requests; `stratum_of` says of each chosen one which stratum it is of."""

    strata: list[Stratum]
    chosen: list[int]
    stratum_of: list[int]

    @property
    def population(self) -> int:
        """How many differing requests it stands for."""
        return sum(stratum.size for stratum in self.strata)


class Estimate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A mean over all differing requests, estimated from the sample."""

    mean: float
    error: float
    """Standard error; 0 where everything was looked at."""
    of: int


def stratum_name(difference: float, *, same_label: bool, only_one: bool = False, of: str = "scores") -> str:
    """The kind of a differing request; `of` says what is so far apart, `scores` or `quantiles`."""
    if only_one:
        return "only one answered"
    begin = max(edge for edge in EDGES if difference >= edge or edge == 0.0)
    rest = [edge for edge in EDGES if edge > begin]
    size = f"{begin:g}-{rest[0]:g}" if rest else f"{begin:g}-1"
    return f"{'same' if same_label else 'another'} label, {of} {size} apart"


def allocate(sizes: Sequence[int], stakes: Sequence[float], count: int) -> list[int]:
    """How many to draw of each stratum: `LEAST` of each, the rest by size times stake; never more than there are.

    Adds up to `count`, or to all there are. Raises `Misuse` when `count` is too small for the strata.
    """
    drawn = [min(LEAST, size) for size in sizes]
    left = min(count, sum(sizes)) - sum(drawn)
    if left < 0:
        raise Misuse(
            f"{count} requests are too few for {len(sizes)} strata.", f"Ask for {sum(drawn)} at least (--sample)."
        )
    while left > 0:
        open_ = [index for index, size in enumerate(sizes) if drawn[index] < size]
        # The place with the greatest claim: its deserved share divided by what it has (as seats are given by D'Hondt).
        best = max(open_, key=lambda index: (sizes[index] * stakes[index] / (drawn[index] + 1), -index))
        drawn[best] += 1
        left -= 1
    return drawn


def draw(names: Sequence[str], stakes: Sequence[float], count: int, seed: int = 1) -> Sample:
    """A sample of `count` of the requests, of which `names` says the stratum and `stakes` what is at stake.

    The same seed draws the same sample. Raises `Misuse` when `count` is too small.
    """
    members: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        members.setdefault(name, []).append(index)
    order = sorted(members, key=lambda name: (-_mean(stakes, members[name]), name))
    groups = [members[name] for name in order]
    drawn = allocate([len(group) for group in groups], [_mean(stakes, group) for group in groups], count)
    generator = np.random.default_rng(seed)
    strata, chosen, stratum_of = [], [], []
    for number, (name, group, much) in enumerate(zip(order, groups, drawn, strict=True)):
        strata.append(Stratum(name=name, size=len(group), drawn=much, weight=len(group) / much if much else 0.0))
        chosen += [group[index] for index in sorted(generator.choice(len(group), much, replace=False))]
        stratum_of += [number] * much
    return Sample(strata, chosen, stratum_of)


def estimate(sample: Sample, outcomes: Mapping[int, float]) -> Estimate | None:
    """Mean of an outcome over all differing requests, from the outcomes of the chosen ones that are known.

    `outcomes` are by index of the request. None while a stratum has no outcome at all: then nothing is known of a part.
    """
    population = sample.population
    mean, variance, known = 0.0, 0.0, 0
    for number, stratum in enumerate(sample.strata):
        values = np.array(
            [
                outcomes[index]
                for index, of in zip(sample.chosen, sample.stratum_of, strict=True)
                if of == number and index in outcomes
            ]
        )
        if not values.size:
            return None
        part = stratum.size / population
        known += int(values.size)
        mean += part * float(values.mean())
        if values.size > 1:
            variance += part**2 * (1 - values.size / stratum.size) * float(values.var(ddof=1)) / values.size
        elif stratum.size > 1:
            return None
    return Estimate(mean=mean, error=math.sqrt(variance), of=known) if population else None


def stake(difference: float, *, same_label: bool, only_one: bool = False) -> float:
    """What may be at stake in a differing request: the prior for the spread of whatever outcome is looked up."""
    if only_one:
        return 1.0
    return max(difference, 0.01) * (SAME_LABEL if same_label else 1.0)


def _mean(values: Sequence[float], where: Sequence[int]) -> float:
    return sum(values[index] for index in where) / len(where)
