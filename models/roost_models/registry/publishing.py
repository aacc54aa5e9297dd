"""Publishing at the centre: the gate's report first, then the registry, then the life cycle.

A bundle goes in only with an accepted report of its own digest, or with the reason why there is none; both are kept
beside it in the registry and in the log of its life. Doing it again finishes what was interrupted.
"""

import hashlib
from pathlib import Path

from roost_broker.errors import Misuse
from roost_models.assessment.report import Assessment
from roost_models.assessment.report import parse as parse_report
from roost_models.bundle.folder import Bundle
from roost_models.registry.writer import Published, Registry
from roost_models.rollout.lifecycle_log import LifecycleLog


class NotAccepted(Misuse):
    """There is no report that would let this bundle be published."""


def publish(
    registry: Registry,
    lifecycle: LifecycleLog,
    bundle: Bundle,
    *,
    report: Path | None,
    without_evaluation: str = "",
    author: str,
    why: str = "",
) -> Published:
    """Publish a verified bundle. Raises `NotAccepted`, and as `Registry.publish`; then nothing was published."""
    evidence = {"author": author}
    digest = ""
    if report is not None:
        digest = accepted_report(report, bundle)
        evidence["report"] = digest
    elif without_evaluation.strip():
        evidence["withoutEvaluation"] = without_evaluation[:1000]
    else:
        raise NotAccepted(
            f"{bundle.manifest.name} {bundle.manifest.version} comes without a report of its evaluation.",
            "Evaluate it (roost evaluate … --report FILE) and give --report FILE, or say why not: "
            "--without-evaluation WHY.",
        )
    published = registry.publish(bundle, custom=evidence)
    lifecycle.publish(
        published.task,
        published.bundle,
        author=author,
        at_ms=int(registry.clock().timestamp() * 1000),
        report=digest,
        without_evaluation=without_evaluation,
        why=why,
    )
    return published


def accepted_report(path: Path, bundle: Bundle) -> str:
    """SHA-256 of a report that accepts this very bundle. Raises `NotAccepted`, `Misuse`, `Malformed`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Misuse(
            f"The report {path} cannot be read: {error.strerror}.", "Give the file of roost evaluate."
        ) from error
    report = parse_report(data)
    title = f"{bundle.manifest.name} {bundle.manifest.version}"
    if report.candidate.digest != bundle.digest or report.task != bundle.manifest.task:
        raise NotAccepted(
            f"The report is about {report.candidate.name} {report.candidate.version} "
            f"({report.candidate.digest[:12]}…) of task {report.task}, not about {title} ({bundle.digest[:12]}…).",
            "Evaluate this bundle; any change of a bundle is another one.",
        )
    if not report.accepted:
        raise NotAccepted(f"The gate did not accept {title}: {_reasons(report)}.", "Train a better one.")
    return hashlib.sha256(data).hexdigest()


def _reasons(report: Assessment) -> str:
    if report.fault is not None:
        return report.fault.detail or report.fault.reason
    failed = [rule.sentence or rule.name for rule in report.rules if not rule.lets_pass]
    return "; ".join(failed[:3]) or "it does not say why"
