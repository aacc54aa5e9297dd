"""What is true of a bundle on simulated devices: how often it agrees, how slow it is, what it breaks. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from roost_broker.errors import Misuse


class Draw(Protocol):
    """A source of chance, seeded by its owner; `random.Random` is one."""

    def random(self) -> float:
        """At least 0, below 1."""
        ...

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """Normal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Of one bundle."""

    canary: float = 0.93
    """Share of requests for which it says what the canary says."""
    previous: float = 0.97
    """Share for which it says what the bundle before it says."""
    answers: float = 0.998
    p50_ms: float = 40.0
    p99_ms: float = 80.0
    previous_p99_ms: float = 80.0
    restarts_per_hour: float = 0.0002
    restarts_per_hour_serving: float | None = None
    """While it serves; None: the same."""
    goes_dark: float = 0.0
    """Chance that a device is never heard of again once the bundle runs there."""
    installs: float = 0.998
    """Chance that its goldens pass on a device."""
    icc: float = 0.005
    """How much requests of one device resemble each other."""
    labels: Mapping[str, float] = field(default_factory=dict)
    """Share of each best label."""

    def __post_init__(self) -> None:
        for name in ("canary", "previous", "answers", "goes_dark", "installs"):
            if not 0 <= getattr(self, name) <= 1:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give a share from 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is true of a bundle on every device, and where it is otherwise."""

    usual: Truth
    special: tuple[tuple[Mapping[str, str], Truth], ...] = ()
    """Tags, and what is true on devices that have all of them; the first that fits."""
    problem: str = "goldens differ"
    """What a device says that refuses it."""

    def on(self, tags: Mapping[str, str]) -> Truth:
        """What is true on a device with these tags."""
        for wanted, truth in self.special:
            if all(tags.get(name) == value for name, value in wanted.items()):
                return truth
        return self.usual


def own_share(share: float, icc: float, draw: Draw) -> float:
    """One device's share, when devices differ so much: mean `share`, variance share·(1 − share)·icc."""
    return min(max(draw.gauss(share, math.sqrt(share * (1 - share) * icc)), 0.0), 1.0)


def hits(of: int, share: float, draw: Draw) -> int:
    """How many of so many come true; the normal approximation where it is good, else one by one or Poisson."""
    if share > 0.5:
        return of - hits(of, 1 - share, draw)
    if of <= 0 or share <= 0:
        return 0
    if of <= 30:
        return sum(draw.random() < share for _ in range(of))
    mean = of * share
    if mean > 25:
        return min(max(round(draw.gauss(mean, math.sqrt(mean * (1 - share)))), 0), of)
    return min(events(mean, draw), of)


def events(mean: float, draw: Draw) -> int:
    """How often a rare thing happens (Poisson; counted by multiplying, so for small means; at most 1,000)."""
    limit, product, count = math.exp(-min(mean, 500.0)), draw.random(), 0
    while product > limit and count < 1000:
        product *= draw.random()
        count += 1
    return count
