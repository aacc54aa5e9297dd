"""What a share counted on several devices says: power, limits. Pure; floats, no library.

Requests of one device resemble each other (one camera, one light, one breed), so a thousand requests of one device
say less than one request of each of a thousand. The excess is stated as the intraclass correlation `icc`: with `m`
requests from each device the variance of the share is p(1−p)/n · (1 + (m − 1)·icc), the *design effect* of cluster
sampling (L. Kish, Survey Sampling, 1965, ch. 5; A. Donner and N. Klar, Design and Analysis of Cluster Randomization
Trials in Health Research, 2000, ch. 5).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
NEVER_SURE = 0.005
"""A share that is expected to be 0 or 1 is taken as this far from it: a variance of 0 would mean certainty."""


def upper_z(chance: float) -> float:
    """The value that a standard normal exceeds with this chance (above 0, below 1)."""
    return -_NORMAL.inv_cdf(chance)


def needed(expected: float, effect: float, chance: float, miss: float) -> float:
    """Independent requests that show a fall of `expected` by `effect`, fixed sample, one side.

    n = (z₁₋α + z₁₋β)² · p(1−p) / δ² (J. L. Fleiss, B. Levin and M. C. Paik, Statistical Methods for Rates and
    Proportions, 3rd ed., 2003, §2.5), with the larger of the two variances, before and after the fall: `pooled` takes
    its error from the devices as they are, and if there is a fall, they have fallen. α = `chance` of a false alarm,
    β = chance to `miss`. For a rise, give 1 − expected.
    """
    before = _inside(expected)
    after = _inside(expected - effect)
    variance = max(before * (1 - before), after * (1 - after))
    return (upper_z(chance) + upper_z(miss)) ** 2 * variance / effect**2


def from_each(independent: float, devices: int, icc: float) -> float | None:
    """Requests from each of so many devices that are worth `independent` ones; None: no number of them is.

    k·m / (1 + (m − 1)·icc) = n solved for m: m = n(1 − icc) / (k − n·icc). With n·icc devices or fewer, none is enough.
    """
    room = devices - independent * icc
    return None if room <= 0 else max(1.0, independent * (1 - icc) / room)


def worth(devices: int, each: float, icc: float) -> float:
    """How many independent requests so many from each device are worth."""
    return devices * each / (1 + max(each - 1, 0) * icc)


def detectable(expected: float, independent: float, chance: float, miss: float) -> float:
    """The smallest fall that so many independent requests show; at most `expected` itself. By halving."""
    low, high = 1e-4, max(expected, 2e-4)
    if independent <= 0 or needed(expected, high, chance, miss) > independent:
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if needed(expected, middle, chance, miss) <= independent else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Counted:
    """`hits` of `of`, from so many devices, and how far the share may be off by chance (one standard error)."""

    share: float
    hits: int
    of: int
    devices: int
    error: float
    worth: float
    """Independent requests that they are worth."""


def pooled(pairs: Sequence[tuple[int, int]], expected: float, icc: float) -> Counted:
    """The share over all devices, `(hits, of)` from each, with an error that knows of devices.

    The larger of two errors: what `expected` and `icc` say, and what the devices themselves say (the linearised
    variance of a ratio, Σ(hᵢ − p̂nᵢ)²·k/(k−1)/n², W. G. Cochran, Sampling Techniques, 3rd ed., 1977, §2.11 and §9A.1).
    The first keeps a handful of devices that happen to agree from being believed too soon.
    """
    told = [(hits, of) for hits, of in pairs if of > 0]
    total = sum(of for _, of in told)
    if not total:
        return Counted(0.0, 0, 0, 0, math.inf, 0.0)
    hits = sum(hit for hit, _ in told)
    share = hits / total
    center = _inside(expected)
    resembling = 1 + (sum(of * of for _, of in told) / total - 1) * icc
    error = math.sqrt(center * (1 - center) / total * resembling)
    count = len(told)
    if count > 1:
        off = sum((hit - share * of) ** 2 for hit, of in told)
        error = max(error, math.sqrt(off * count / (count - 1)) / total)
    return Counted(share, hits, total, count, error, total / resembling)


def _inside(share: float) -> float:
    return min(max(share, NEVER_SURE), 1 - NEVER_SURE)
