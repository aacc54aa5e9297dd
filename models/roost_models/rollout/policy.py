"""How careful a roll-out is: what it must be able to see, what it tolerates, in which steps it goes. Values."""

from typing import Annotated

from msgspec import Meta, Struct, field

from roost_broker.errors import Misuse
from roost_models.rollout.document import Share

Chance = Annotated[float, Meta(gt=0, lt=0.5)]
Seconds = Annotated[float, Meta(gt=0, le=90 * 86_400)]

GATES = ("install", "crashes", "quiet", "alarms", "answers", "canary", "previous", "latency")
"""What is judged at every look."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All knobs of a roll-out. Raises `Misuse` for what contradicts itself."""

    effect: Annotated[float, Meta(ge=0.001, le=0.5)] = 0.05
    """The fall of an agreement (and rise of unanswered requests) that every step must be able to show."""
    miss: Chance = 0.1
    """Chance that a step does not show an effect of that size."""
    false_halt: Chance = 0.01
    """Chance that a good bundle is halted, over the whole roll-out, all its gates and looks."""
    icc: Annotated[float, Meta(ge=0, lt=1)] = 0.01
    """How much requests of one device resemble each other (see `proportions`)."""
    looks: Annotated[int, Meta(ge=1, le=1000)] = 12
    """Looks at the gates during a dwell, evenly spread; a bundle that is clearly bad is halted at one of them."""
    strata: Annotated[int, Meta(ge=0, le=64)] = 16
    """Most groups with a tag in common that are judged by themselves."""
    stratum_devices: Annotated[int, Meta(ge=2, le=1000)] = 3
    """Fewest devices of such a group."""
    shadow: Annotated[tuple[Share, ...], Meta(min_length=1, max_length=16)] = (0.01, 0.10, 0.50)
    """Shares of the devices that evaluate it unheard, step by step."""
    serving: Annotated[tuple[Share, ...], Meta(min_length=1, max_length=16)] = (0.005, 0.02, 0.10, 0.50, 1.0)
    """Shares that serve it, step by step."""
    guarded: Annotated[float, Meta(gt=0, le=1)] = 0.02
    """No more devices than this share are ever served before the gates have passed with devices that it served."""
    present: Annotated[float, Meta(gt=0, le=1)] = 0.8
    """Share of the devices that is expected to report; the others are off."""
    settle_s: Seconds = 600
    """Time for download, tests and warming before a step's requests begin to count."""
    min_dwell_s: Seconds = 900
    max_dwell_s: Seconds = 3 * 86_400
    hold_s: Seconds = 86_400
    """How long a step may stay suspicious after its dwell before it counts as failed."""
    quiet_s: Seconds = 1_800
    """A device that has said nothing for so long is quiet: more than its `report_s` and any poll."""
    latency_ratio: Annotated[float, Meta(gt=1, le=100)] = 1.5
    """The new bundle's p99 may be so many times the previous one's."""
    latency_floor_ms: Annotated[float, Meta(ge=0.001, le=10_000)] = 5.0
    """A shorter p99 counts as this: below it a ratio tells of the device's other work, and nobody waits."""
    crash_restarts: Annotated[int, Meta(ge=1, le=1000)] = 2
    """A device whose model ended by itself so often in a step has crashed."""
    tolerated: dict[str, Share] = field(
        default_factory=lambda: {"install": 0.02, "crashes": 0.02, "quiet": 0.03, "alarms": 0.05}
    )
    """Shares of the devices of which each kind of trouble is expected without the new bundle's fault."""

    def __post_init__(self) -> None:
        for name in ("shadow", "serving"):
            shares = getattr(self, name)
            if list(shares) != sorted(set(shares)) or shares[0] <= 0:
                raise Misuse(f"{name} is {list(shares)}.", "Give shares above 0 that grow from step to step.")
        if self.serving[-1] != 1.0:
            raise Misuse(f"serving ends at {self.serving[-1]:g}.", "Let the last step be 1: a roll-out ends with all.")
        if self.min_dwell_s > self.max_dwell_s:
            raise Misuse("min_dwell_s is more than max_dwell_s.", "Give the shorter time as min_dwell_s.")
        if set(self.tolerated) != {"install", "crashes", "quiet", "alarms"}:
            raise Misuse(f"tolerated names {sorted(self.tolerated)}.", "It needs install, crashes, quiet and alarms.")
        if not all(0 < share < 1 for share in self.tolerated.values()):
            raise Misuse("tolerated holds a share of 0 or 1.", "Something always goes wrong somewhere: give e.g. 0.02.")

    @property
    def steps_at_most(self) -> int:
        """Number of steps if none is left out."""
        return len(self.shadow) + len(self.serving)

    @property
    def chance(self) -> float:
        """Of a false alarm, for one test of one gate: half the budget, over all steps, looks and gates (Bonferroni)."""
        return self.false_halt / 2 / (self.steps_at_most * (self.looks + 1) * len(GATES))

    @property
    def stratum_chance(self) -> float:
        """The same for one test of one group; the other half of the budget. One group more: those that serve."""
        return self.chance / (self.strata + 1)


class Baseline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is expected of the new bundle, from its assessment on archived requests or stated by hand."""

    canary: Share | None = None
    """Share of requests for which it says what the canary says; None: it is not judged by that."""
    previous: Share | None = None
    """Share for which it says what the previous bundle says."""
    answers: Share = 0.99
    """Share of requests that are answered at all."""
    risk: Share | None = None
    """Upper limit of the share of requests for which the two differ: the risk of handing all requests over."""
    source: str = "given"
    """Where it is from: `given`, or the digest of a report."""

    @property
    def shares(self) -> dict[str, float]:
        """Expected share by gate."""
        found = {"answers": self.answers, "canary": self.canary, "previous": self.previous}
        return {name: share for name, share in found.items() if share is not None}
