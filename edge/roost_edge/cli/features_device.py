"""`roost features` of a device: every model that answers, one after the other, when a look is due; for a timer."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse, RoostError
from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.features_asked import asked_again
from roost_edge.feature_reports import FeatureReports, KeptFeatures, due, told
from roost_edge.processes.plan import RoleProcess, plan
from roost_edge.settings.device import Settings

if TYPE_CHECKING:
    from roost_models.bundle.folder import Bundle


def look(settings: Settings, *, requests: int, rounds: int, every_days: float, as_json: bool = False) -> int:
    """Look at every model that is due; returns how many could not be looked at for a reason that somebody may mend."""
    reports = FeatureReports(settings.layout.features)
    failed, newest = 0, list[KeptFeatures]()
    for role in models(settings):
        try:
            kept = _look(settings, role, reports, requests=requests, rounds=rounds, every_days=every_days)
        except (RoostError, OSError) as error:
            failed += 1
            output.say(f"{role.task}/{role.model}: {error}")
            continue
        newest.append(kept)
        if not as_json:
            print(printable(told(kept, time.time_ns() // 1_000_000)), flush=True)
    if as_json:
        output.data({"models": newest})
    return failed


def models(settings: Settings) -> Iterator[RoleProcess]:
    """One process of each model that runs; of those kept up to date the slots that hold something."""
    from roost_edge.processes.model_slots import to_start

    for role in to_start(settings, plan(settings)):
        if role.kind == "model" and role.replica <= 1:
            yield role


def _look(
    settings: Settings, role: RoleProcess, reports: FeatureReports, *, requests: int, rounds: int, every_days: float
) -> KeptFeatures:
    from roost_edge.compose_ota import bundle_of

    _, bundle = bundle_of(settings, role)
    kept, now = reports.newest(role.task, role.model), time.time_ns() // 1_000_000
    if kept is not None and not due(kept, bundle.digest, every_days, now):
        return kept
    found = _kept(settings, role, bundle, now, requests=requests, rounds=rounds)
    reports.keep(found)
    return found


def _kept(
    settings: Settings, role: RoleProcess, bundle: "Bundle", now: int, *, requests: int, rounds: int
) -> KeptFeatures:
    from roost_rendezvous.analytics.features.collinear import variable

    manifest = bundle.manifest
    about = {
        "task": role.task,
        "model": role.model,
        "bundle": bundle.digest,
        "title": f"{manifest.name} {manifest.version}",
        "made_at_ms": now,
    }
    try:
        archive = settings.layout.archive(role.task)
        report = asked_again(archive, role.task, bundle, role.model, requests=requests, rounds=rounds)
    except Misuse as error:  # an archive that is still empty, requests whose pictures are gone
        return KeptFeatures(**about, requests=0, why_not=error.problem)  # type: ignore[arg-type]  # a table of fields
    return KeptFeatures(
        **about,  # type: ignore[arg-type]  # as above
        requests=report.requests,
        dead=list(report.variables.dead),
        same=[(one.one, one.other, round(one.r, 3)) for one in report.collinear.pairs],
        follows=list(dict.fromkeys(variable(one.column) for one in report.collinear.explained)),
        report=report,
    )
