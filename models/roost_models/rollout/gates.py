"""The gates of a step: each says pass, wait or fail, with the figures it rests on. Pure.

* Shares of requests (`answers`, `canary`, `previous`): one-sided test against what the assessment expects, with an
  error that knows of devices. Fails when the share is lower than chance explains. Waits until enough was counted.
* Shares of devices (`install`, `crashes`, `quiet`, `alarms`): exact binomial tail against what is tolerated. Fails
  when more are in trouble than chance explains; suspicious (a chance below 5 %) is not passed either.
* `latency`: mean over the devices of log(p99 / previous p99), against the log of the ratio that is tolerated; what is
  shorter than `latency_floor_ms` counts as that.

They are judged for all devices together, for those that serve, and for every group with a tag in common that has enough
devices: a bundle may be wrong for one camera only. A group can fail a step; only all together, and those that serve,
must have enough to pass it.

A device that went quiet after it had begun with the bundle counts as trouble, in comparison with those that have
nothing of it; when many of these are quiet too, it is the link, and the step waits.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_models.rollout import proportions
from roost_models.rollout.evidence import Counts, Evidence
from roost_models.rollout.planning import Step
from roost_models.rollout.policy import Baseline, Policy
from roost_rendezvous.analytics import binomial

Verdict: TypeAlias = Literal["pass", "wait", "fail", "not judged"]
ALL = "all devices"
SERVING = "devices that serve"
_SUSPICIOUS = 0.05
_LINK_DOWN = 0.3
"""When so many of the untouched devices are quiet, quietness says nothing of the bundle."""
_LEAST_SPREAD = 0.1
"""Smallest standard deviation of a log ratio between devices that is believed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate for one group of devices."""

    name: str
    group: str
    verdict: Verdict
    value: float | None
    limit: float
    devices: int
    of: int
    """Requests or devices that were counted."""
    text: str
    suspicious: bool = False


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    chance: float
    must_suffice: bool
    members: Sequence[Evidence]


def judge(
    evidence: Sequence[Evidence],
    step: Step,
    policy: Policy,
    baseline: Baseline,
    quiet_elsewhere: tuple[int, int] = (0, 0),
) -> list[Gate]:
    """All gates, those of all devices first."""
    found = []
    for group in _groups(evidence, step, policy):
        found += [
            _install(group, policy),
            _trouble("crashes", group, policy, lambda counts: counts.restarts >= policy.crash_restarts),
            _quiet(group, policy, quiet_elsewhere),
            _alarms(group, policy),
            *(_share(name, share, group, step, policy) for name, share in baseline.shares.items()),
            _latency(group, policy),
        ]
    return found


def _groups(evidence: Sequence[Evidence], step: Step, policy: Policy) -> list[_Group]:
    serving = [one for one in evidence if one.serving]
    groups = [_Group(ALL, policy.chance, step.served == 0, evidence)]
    if step.served:
        groups.append(_Group(SERVING, policy.stratum_chance, True, serving))
    by_tag: dict[str, list[Evidence]] = defaultdict(list)
    for one in evidence:
        for name, value in one.tags.items():
            by_tag[f"{name} = {value}"].append(one)
    parts = [
        (name, members) for name, members in by_tag.items() if policy.stratum_devices <= len(members) < len(evidence)
    ]
    parts.sort(key=lambda part: (-len(part[1]), part[0]))
    return groups + [_Group(name, policy.stratum_chance, False, members) for name, members in parts[: policy.strata]]


# -- shares of requests


def _hits(name: str, counts: Counts) -> tuple[int, int]:
    if name == "canary":
        return counts.canary
    if name == "previous":
        return counts.previous
    settled = counts.answered + counts.declined
    lost = max(counts.requests - settled - 1, 0)  # one may still be under way
    return counts.answered, settled + lost


def _share(name: str, expected: float, group: _Group, step: Step, policy: Policy) -> Gate:
    pairs = [_hits(name, one.counts) for one in group.members]
    counted = proportions.pooled(pairs, expected, policy.icc)
    if not counted.of:
        verdict: Verdict = "wait" if group.must_suffice else "not judged"
        return Gate(name, group.name, verdict, None, expected, 0, 0, "nothing counted yet")
    limit = expected - proportions.upper_z(group.chance) * counted.error
    text = f"{counted.share:.2%} of {counted.of} on {counted.devices} devices, expected {expected:.2%}"
    if counted.share < limit and _exactly(counted, expected) < group.chance:
        verdict, text = "fail", f"{text}; chance explains no less than {max(limit, 0):.2%}"
    elif group.must_suffice and counted.worth < step.required:
        verdict, text = "wait", f"{text}; worth {counted.worth:.0f} of {step.required:.0f} requests"
    else:
        verdict = "pass"
    return Gate(name, group.name, verdict, counted.share, limit, counted.devices, counted.of, text)


def _exactly(counted: proportions.Counted, expected: float) -> float:
    """Chance of so many misses among as many independent requests as these are worth.

    With few expected misses the binomial is far from normal, and a limit five standard errors out means nothing.
    """
    of = max(math.ceil(counted.worth), 1)
    return binomial.at_least(math.floor((1 - counted.share) * of), of, max(1 - expected, proportions.NEVER_SURE))


# -- shares of devices


def _tail(name: str, group: _Group, hits: int, of: int, tolerated: float, what: str) -> Gate:
    if not of:
        verdict: Verdict = "wait" if group.must_suffice else "not judged"
        return Gate(name, group.name, verdict, None, tolerated, 0, 0, "no device yet")
    chance = binomial.at_least(hits, of, tolerated)
    text = f"{hits} of {of} {what}, tolerated {tolerated:.1%}"
    suspicious = chance < _SUSPICIOUS
    verdict = "fail" if chance < group.chance else "wait" if suspicious and group.must_suffice else "pass"
    return Gate(name, group.name, verdict, hits / of, tolerated, of, of, text, suspicious and verdict == "wait")


def _trouble(name: str, group: _Group, policy: Policy, has: Callable[[Counts], bool]) -> Gate:
    told = _told(group)
    hits = sum(has(one.counts) for one in told)
    return _tail(name, group, hits, len(told), policy.tolerated[name], f"devices with {name}")


def _alarms(group: _Group, policy: Policy) -> Gate:
    """A monitor that does not know the model for long enough is silent, which is no pass: such devices do not count.

    It is not waited for either: in a new slot it takes a week and more.
    """
    told, limit = _told(group), policy.tolerated["alarms"]
    able = [one for one in told if one.counts.alarms or one.alarms_able is not False]
    blind = len(told) - len(able)
    if blind and not able:
        text = f"not enough history: no monitor of {blind} devices knows this model for long enough to blame it"
        return Gate("alarms", group.name, "not judged", None, limit, 0, 0, text)
    gate = _tail("alarms", group, sum(one.counts.alarms > 0 for one in able), len(able), limit, "devices with alarms")
    return gate if not blind else _with_text(gate, f"{gate.text}; not enough history on {blind} more")


def _told(group: _Group) -> list[Evidence]:
    return [one for one in group.members if one.installed or one.counts.requests or one.counts.restarts]


def _install(group: _Group, policy: Policy) -> Gate:
    done = [one for one in group.members if one.installed or one.failed]
    failed = [one for one in done if one.failed]
    gate = _tail(
        "install", group, len(failed), len(done), policy.tolerated["install"], "devices refused it or went back"
    )
    why = next((one.problem for one in failed if one.problem), "")
    return gate if not why else _with_text(gate, f"{gate.text} ({why})")


def _quiet(group: _Group, policy: Policy, elsewhere: tuple[int, int]) -> Gate:
    quiet, others = elsewhere
    hits, of = sum(one.quiet for one in group.members), len(group.members)
    usual = (quiet + 1) / (others + 2) if others else 0.0
    if others and quiet / others >= _LINK_DOWN and hits:
        text = f"{hits} of {of} are quiet, but so are {quiet} of {others} that have nothing of it"
        return Gate("quiet", group.name, "wait", hits / of, usual, of, of, text)
    return _tail("quiet", group, hits, of, max(policy.tolerated["quiet"], 1.5 * usual), "devices went quiet")


def _latency(group: _Group, policy: Policy) -> Gate:
    floor = policy.latency_floor_ms
    ratios = [
        math.log(max(one.p99_ms, floor) / max(one.previous_p99_ms, floor))
        for one in group.members
        if one.p99_ms and one.previous_p99_ms and not one.quiet
    ]
    count, limit = len(ratios), policy.latency_ratio
    if count < 2:
        return Gate("latency", group.name, "not judged", None, limit, count, count, f"p99 known of {count} devices")
    mean = sum(ratios) / count
    spread = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / (count - 1))
    error = max(spread, _LEAST_SPREAD) / math.sqrt(count)
    text = f"p99 × {math.exp(mean):.2f} on {count} devices, tolerated × {limit:g}"
    over = mean - math.log(limit)
    suspicious = over > 0 and group.must_suffice
    verdict: Verdict = "fail" if over > proportions.upper_z(group.chance) * error else "wait" if suspicious else "pass"
    return Gate("latency", group.name, verdict, math.exp(mean), limit, count, count, text, suspicious)


def _with_text(gate: Gate, text: str) -> Gate:
    return Gate(
        gate.name, gate.group, gate.verdict, gate.value, gate.limit, gate.devices, gate.of, text, gate.suspicious
    )
