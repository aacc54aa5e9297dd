"""Publishing at the centre: the gate's report first, then the registry, then the life cycle.

A bundle goes in only with an accepted report of its own digest, or with the reason why there is none; both are kept
beside it in the registry and in the log of its life. Doing it again finishes what was interrupted.
"""

import hashlib
from pathlib import Path

from roost_broker.errors import Misuse
from roost_models.assessment.report import Assessment, Rule
from roost_models.assessment.report import parse as parse_report
from roost_models.bundle.folder import Bundle
from roost_models.registry import withdrawing
from roost_models.registry.writer import Published, Registry
from roost_models.rollout.document import BundleRef
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
            "Evaluate it (roost evaluate BUNDLE --against CHAMPION: the report is found by itself), or say why not: "
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


def withdraw(
    registry: Registry, lifecycle: LifecycleLog, task: str, bundle: BundleRef, *, author: str, why: str = ""
) -> bool:
    """Take a bundle out for good and retire it; False when it was out already. Raises `Misuse`, `KeysMissing`.

    One in production is refused: another one must have taken its place first. Doing it again finishes what was
    interrupted.
    """
    phase = lifecycle.phase(bundle.digest)
    if phase == "production":
        raise Misuse(
            f"{bundle.name} {bundle.version} is in production.", "Roll another one out, or abort its roll-out; then."
        )
    done = withdrawing.withdraw(registry, task, bundle.name, bundle.version, why=why)
    if phase in ("preproduction", "post-production"):
        at_ms = int(registry.clock().timestamp() * 1000)
        evidence = {"withdrawn": "from the registry"}
        lifecycle.move(task, bundle, "retirement", author=author, at_ms=at_ms, why=why, evidence=evidence)
    return done


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
        raise NotAccepted(f"The gate did not accept {title}: {_reasons(report)}.", _remedy(report))
    return hashlib.sha256(data).hexdigest()


def _reasons(report: Assessment) -> str:
    if report.fault is not None:
        return report.fault.detail or report.fault.reason
    failed = [_reason(rule) for rule in report.rules if not rule.lets_pass]
    return "; ".join(failed[:3]) or "it does not say why"


def _reason(rule: Rule) -> str:
    said = f"{rule.name} ({rule.sentence})" if rule.sentence else rule.name
    if rule.measured is None or rule.limit is None:
        return said
    return f"{said}: {rule.measured:.4g}, the limit is {rule.limit:.4g}"


def _remedy(report: Assessment) -> str:
    """Too little data is no fault of the bundle."""
    refused = [rule.outcome for rule in report.rules if not rule.lets_pass]
    if report.fault is None and refused and all(outcome == "not-enough-data" for outcome in refused):
        return (
            "That is too little data, not a bad bundle: label more pictures of the archive (roost label serve), "
            "or evaluate it by a gate of yours (roost evaluate --show-gate, --gate FILE)."
        )
    return "Train a better one, or evaluate it by a gate of yours (roost evaluate --show-gate, --gate FILE)."
