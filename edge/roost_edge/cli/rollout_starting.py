"""`roost rollout start`: from a bundle's name to a plan for the fleet that reports."""

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.errors import Malformed, Misuse
from roost_edge.cli import output

if TYPE_CHECKING:
    from roost_broker.messages import OtaState
    from roost_models.rollout.document import BundleRef, Rollout
    from roost_models.rollout.lifecycle import Entry
    from roost_models.rollout.policy import Baseline
    from roost_models.rollout.sources import Source

_DAY_MS = 86_400_000


def new_id(bundle: "BundleRef") -> str:
    """A name for a new roll-out: bundle, version and moment."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{bundle.name}-{bundle.version}")[:70].strip("-.")
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"


def previous_of(
    entries: "list[Entry]", published: "Rollout | None", bundle: "BundleRef", task: str, version: str
) -> "BundleRef | None":
    """What devices go back to. Raises `Misuse` while another roll-out of the line goes on."""
    from roost_models.rollout.lifecycle_lookup import find

    if published is not None and published.state in ("running", "paused"):
        raise Misuse(
            f"Roll-out {published.rollout_id} of {bundle.name} is {published.state}.",
            "Wait until it is over, or end it: roost rollout abort.",
        )
    if version:
        return find(entries, bundle.name, version, task)[1]
    if published is None:
        return None
    before = published.bundle if published.state == "complete" else published.previous
    if before is not None and before.digest == bundle.digest:
        raise Misuse(f"The devices have {bundle.name} {bundle.version} already.", "Name another version.")
    return before


def baseline_of(
    reports: Path, bundle: "BundleRef", *, canary: float | None, previous: float | None
) -> "tuple[Baseline, str]":
    """What is expected, and the digest of the report that says so (empty without one)."""
    import hashlib

    from msgspec import structs

    from roost_models.assessment.report import parse
    from roost_models.rollout.baselines import of_report
    from roost_models.rollout.policy import Baseline

    path = reports / f"{bundle.digest}.json"
    digest = ""
    baseline = Baseline(canary=canary)
    if path.is_file():
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        baseline = of_report(parse(data), digest, canary=canary)
    if previous is not None:
        baseline = structs.replace(baseline, previous=previous)
    return baseline, digest


def fleet_reports(source: "Source", seconds: float, task: str, name: str) -> "list[OtaState]":
    """The devices that report a line of this name now."""
    from roost_broker.messages import OtaState, decode
    from roost_models.rollout.watching import gather

    output.say(f"Listening for {seconds:g} s to hear which devices there are.")
    found = []
    for heard in asyncio.run(gather(source, seconds)):
        if not heard.is_report:
            continue
        try:
            state = decode(heard.payload)
        except Malformed:
            continue
        if isinstance(state, OtaState) and state.node == heard.node and _has_line(state, task, name):
            found.append(state)
    return found


def taking_part(states: "list[OtaState]", tags: Mapping[str, str]) -> list[str]:
    """Names of the devices that have all of these tags."""
    return sorted(state.node for state in states if all(state.tags.get(key) == tags[key] for key in tags))


def requests_per_day(states: "list[OtaState]", task: str, name: str, now_ms: int) -> float | None:
    """What the trials on the devices say, if there are any: the median over the devices."""
    rates = []
    for state in states:
        for line in state.lines:
            if (line.task, line.bundle) == (task, name) and line.trial is not None and line.trial.requests >= 10:
                spent = max(now_ms - line.trial.since, 1)
                rates.append(line.trial.requests * _DAY_MS / spent)
    rates.sort()
    return rates[len(rates) // 2] if rates else None


def _has_line(state: "OtaState", task: str, name: str) -> bool:
    return any((line.task, line.bundle) == (task, name) for line in state.lines)


def tags_of(pairs: list[str]) -> dict[str, str]:
    """`name=value`, several times. Raises `Misuse`."""
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Misuse(f"{pair!r} is not NAME=VALUE.", "For example --tag camera=noir.")
        tags[name] = value
    return tags
