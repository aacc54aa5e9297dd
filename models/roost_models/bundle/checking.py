"""What `roost bundle check` and `show` say, as values."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from roost_broker.errors import RoostError
from roost_models.bundle.environment import check_environment
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.trial import TIMEOUT_S, Trial, try_in_child


class CheckReport(Struct, frozen=True, kw_only=True):
    """The outcome of a check. `ok` only when nothing is in `problems`."""

    ok: bool
    path: str
    name: str = ""
    version: str = ""
    digest: str = ""
    problems: list[str] = field(default_factory=list)
    """Why the bundle cannot be used: each with its remedy."""
    remarks: list[str] = field(default_factory=list)
    """What could be better."""
    trial: Trial | None = None


def check_bundle(path: Path, *, cache: Path | None = None, timeout_s: float = TIMEOUT_S) -> CheckReport:
    """Verify, compare the environment, run the goldens in a child process. Never raises for a bad bundle."""
    try:
        bundle = open_bundle(path, cache=cache)
    except RoostError as error:
        return CheckReport(ok=False, path=str(path), problems=[str(error)])
    problems: list[str] = []
    trial: Trial | None = None
    try:
        check_environment(bundle.manifest)
        trial = try_in_child(bundle, timeout_s=timeout_s)
        problems.extend(trial.differences)
    except RoostError as error:
        problems.append(str(error))
    return CheckReport(
        ok=not problems,
        path=str(path),
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        digest=bundle.digest,
        problems=problems,
        remarks=_remarks(bundle, trial),
        trial=trial,
    )


def show_bundle(path: Path, *, cache: Path | None = None) -> dict[str, Any]:
    """The manifest with the bundle's digest and size, for people and for `--json`. Raises as `open_bundle`."""
    bundle = open_bundle(path, cache=cache)
    shown: dict[str, Any] = msgspec.to_builtins(bundle.manifest)
    return {
        "digest": bundle.digest,
        "path": str(path),
        "bytes": sum(entry.bytes for entry in bundle.manifest.files.values()),
        **shown,
    }


def _remarks(bundle: Bundle, trial: Trial | None) -> list[str]:
    manifest = bundle.manifest
    found = []
    if not manifest.goldens:
        found.append("No goldens: nothing shows that the model still answers as it should.")
    elif any(not golden.outputs for golden in manifest.goldens):
        found.append("A golden without outputs proves nothing; `roost bundle pack --seal --goldens` records them.")
    if manifest.card is None:
        found.append("No model card.")
    if manifest.licence == "NOASSERTION":
        found.append("The licence is not stated.")
    if manifest.engine == "tflite" and not manifest.runtime.engine:
        found.append("No runtime is pinned; scores differ between runtimes.")
    if trial is not None:
        found.extend(f"A batch of {size} does not work: {why}" for size, why in trial.failed_batches.items())
        found.extend(_dear_batches(trial))
    return found


def _dear_batches(trial: Trial) -> list[str]:
    """Batch sizes that cost more for each input than one at a time does."""
    alone = trial.ms_by_batch.get(1, 0.0)
    return [
        f"A batch of {size} costs {ms / size:.2f} ms each, one alone {alone:.2f} ms: not cheaper on this machine."
        for size, ms in trial.ms_by_batch.items()
        if size > 1 and ms / size >= alone
    ]
