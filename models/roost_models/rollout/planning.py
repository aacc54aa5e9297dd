"""From a fleet and a policy to steps: who gets the bundle when, and how long each step must last. Pure.

Promises of a plan:

* Shares only grow, and who serves was in shadow before (cohorts are nested hashes).
* Before gates have passed with devices that the new bundle served, it serves at most `guarded` of them (2 %); of a
  fleet that has fewer than 1 / `guarded` devices, one.
* Each step lasts until an effect of the policy's size would show, with the policy's chance of missing it; where so few
  devices cannot show it however long they run, the plan says which effect they can show.

A step lasts long enough to be noticed and is sharp enough to be dated (book, ch. 6): every one leaves a marker.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from roost_broker.errors import Misuse
from roost_broker.shares import place
from roost_models.rollout import proportions
from roost_models.rollout.policy import Baseline, Policy
from roost_rendezvous.analytics import binomial

DAY_S = 86_400.0
_ROOM = 1.5
"""So many times the fewest devices report in a shadow step: with just those it would last for ever."""
_ENOUGH = 0.9
"""A step may end with so much of what was planned: its requests do not come evenly."""
_SLIP = 0.001
"""Chance that a share of unknown devices holds more of them than it may."""


class Step(Struct, frozen=True, kw_only=True):
    """One step of a plan."""

    shadow: float
    serving: float
    devices: int
    """Expected in shadow, those that serve included."""
    served: int
    """Expected to serve."""
    least: int
    """Fewest devices that could show the effect, however many requests they have."""
    each: float
    """Requests that each judged device should have had."""
    required: float
    """Independent requests that must be counted before the gates may pass."""
    dwell_s: float
    detects: float
    """The effect that this step shows with the policy's chances."""
    risk: float | None = None
    """Upper limit of the share of all requests that this step may change (E3: the whole risk times the share)."""

    @property
    def judged(self) -> int:
        """Devices whose requests the step is about."""
        return self.served or self.devices


class Plan(Struct, frozen=True, kw_only=True):
    """Steps, and what they were computed from."""

    steps: tuple[Step, ...]
    devices: int
    requests_per_day: float
    """Of one device."""
    policy: Policy
    baseline: Baseline

    @property
    def duration_s(self) -> float:
        """Expected, when every gate passes as soon as it may."""
        return sum(step.dwell_s for step in self.steps)

    @property
    def ever_served(self) -> float:
        """Largest share of the devices that serve before gates have passed with such devices."""
        return max((step.served for step in self._guarded_steps()), default=0) / self.devices

    def _guarded_steps(self) -> list[Step]:
        limit = most_served(self.devices, self.policy.guarded)
        return [step for step in self.steps if 0 < step.served <= limit]


def most_served(devices: int, guarded: float) -> int:
    """How many devices may serve before gates have passed with such devices: the share, or one."""
    return max(1, math.floor(devices * guarded + 1e-9))


def make(
    policy: Policy,
    baseline: Baseline,
    *,
    devices: int,
    requests_per_day: float,
    rollout_id: str = "",
    nodes: Sequence[str] = (),
) -> Plan:
    """The plan for a fleet.

    With `nodes` (the names of the devices that may take part) shares are cut so that a step holds exactly so many of
    them; without, guarded shares are cut so that more of them is improbable. Raises `Misuse`.
    """
    if devices < 1 or requests_per_day <= 0:
        raise Misuse(
            f"{devices} devices with {requests_per_day:g} requests a day cannot be planned.",
            "Give the number of devices, and the requests that one of them has a day.",
        )
    cutter = _Cutter(rollout_id, nodes, devices)
    least = _least(policy, baseline)
    steps = []
    in_shadow = 0
    for share in policy.shadow:
        wanted = min(devices, max(math.ceil(share * devices - 1e-9), math.ceil(least * _ROOM / policy.present)))
        if wanted > in_shadow:
            in_shadow = wanted
            steps.append(_step(policy, baseline, cutter, requests_per_day, in_shadow, 0, least))
    served, limit = 0, most_served(devices, policy.guarded)
    for share in policy.serving:
        wanted = math.floor(share * devices + 1e-9)
        if served == 0 and wanted > limit:  # the fleet is too small for the policy's first step
            steps.append(_step(policy, baseline, cutter, requests_per_day, max(in_shadow, limit), limit, least))
            served = limit
        if wanted > served:
            served = wanted
            in_shadow = devices if served > limit else max(in_shadow, served)
            steps.append(_step(policy, baseline, cutter, requests_per_day, in_shadow, served, least))
    return Plan(
        steps=tuple(steps), devices=devices, requests_per_day=requests_per_day, policy=policy, baseline=baseline
    )


def _least(policy: Policy, baseline: Baseline) -> int:
    """Fewest devices: with so many or fewer, resemblance alone hides the effect (see `proportions.from_each`)."""
    return max(math.floor(_needed(policy, share) * policy.icc) + 1 for share in baseline.shares.values())


def _needed(policy: Policy, share: float) -> float:
    return proportions.needed(share, min(policy.effect, share), policy.chance, policy.miss)


def _step(
    policy: Policy,
    baseline: Baseline,
    cutter: "_Cutter",
    per_day: float,
    in_shadow: int,
    served: int,
    least: int,
) -> Step:
    judged = max(1, math.floor((served or in_shadow) * policy.present))
    independent = max(_needed(policy, share) for share in baseline.shares.values())
    each = proportions.from_each(independent, judged, policy.icc)
    if each is None:  # ten elevenths of what these devices can ever say
        each = 1 + 10 * (1 - policy.icc) / policy.icc
    most = max(1.0, (policy.max_dwell_s - policy.settle_s) * per_day / DAY_S)
    each = min(each, most)
    dwell = min(max(policy.settle_s + each * DAY_S / per_day, policy.min_dwell_s), policy.max_dwell_s)
    worth = proportions.worth(judged, each, policy.icc) * (1 + 1e-9)
    detects = max(
        proportions.detectable(share, worth, policy.chance, policy.miss) for share in baseline.shares.values()
    )
    guarded = served and served <= most_served(cutter.devices, policy.guarded)
    share = cutter.cut(served, careful=bool(guarded))
    return Step(
        shadow=max(share, cutter.cut(in_shadow)),
        serving=share,
        devices=in_shadow,
        served=served,
        least=least,
        each=each,
        required=_ENOUGH * worth,
        dwell_s=dwell,
        detects=detects,
        risk=None if baseline.risk is None else baseline.risk * share,
    )


class _Cutter:
    """Where a share is cut so that it holds so many devices."""

    def __init__(self, rollout_id: str, nodes: Sequence[str], devices: int) -> None:
        self.devices = devices
        self._places = sorted(place(rollout_id, node) for node in set(nodes))

    def cut(self, count: int, *, careful: bool = False) -> float:
        """The share that holds `count` devices; with `careful` no more of them than that."""
        if count <= 0:
            return 0.0
        if count >= self.devices:
            return 1.0
        if len(self._places) > count:
            return (self._places[count - 1] + self._places[count]) / 2
        return _surely_within(count, self.devices) if careful else count / self.devices


def _surely_within(count: int, devices: int) -> float:
    """Largest share of which `devices` hashed ones hold more than `count` only with the chance `_SLIP`."""
    low, high = 0.0, count / devices
    for _ in range(40):
        middle = (low + high) / 2
        if binomial.at_least(count + 1, devices, middle) <= _SLIP:
            low = middle
        else:
            high = middle
    return low
