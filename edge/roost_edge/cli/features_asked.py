"""What `roost features` does with one model: archived requests are asked again, each variable left out in turn."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost_models.assessment.leaving_out import InputReport
    from roost_models.bundle.folder import Bundle


def asked_again(archive: Path, task: str, bundle: "Bundle", model: str, *, requests: int, rounds: int) -> "InputReport":
    """The newest `requests` of the task in an archive; `model` is whose progress is shown. Raises `Misuse`."""
    from collections import deque

    from roost_edge.cli.reporter import reporting
    from roost_models.archive.cases import open_cases
    from roost_models.assessment.leaving_out import inputs_report
    from roost_models.inference.predictor import load_predictor
    from roost_rendezvous.analytics.features.leave_out import LeaveOutSettings

    source = open_cases(archive)
    try:
        with reporting(f"Leaving out, {model}") as progress:
            return inputs_report(
                deque(source.cases(task=task), maxlen=requests),  # an archive is larger than a device's memory
                load_predictor(bundle),
                source.frames,
                (bundle.digest, bundle.manifest.name, bundle.manifest.version),
                LeaveOutSettings(rows=requests, rounds=rounds),
                progress.progress,
            )
    finally:
        source.close()
