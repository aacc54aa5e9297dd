"""A model's bundle: its files, its environment, and an interpreter that is really built, in a child process.

A damaged model kills its interpreter (SIGSEGV); a hash that fits does not prove the contrary.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from roost_edge.compose_ota import bundle_of
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, skipped, warn
from roost_edge.doctor.memory import available_mb
from roost_edge.doctor.patient import Patient
from roost_edge.processes.model_slots import slot_of
from roost_edge.processes.plan import RoleProcess
from roost_models.bundle.environment import check_environment
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.trial import Undecided, try_in_child

TRIAL_S = 30.0
_LEAST_MB = 120
"""An interpreter with its libraries needs 60 to 110 MB; beside a full device it would push a model out."""


def bundle(patient: Patient, task: str, model: str) -> Verdict:
    """Verify every file, compare the environment, build an interpreter, and run the goldens if there are any."""
    with TemporaryDirectory() as cache:
        return _examined(patient, _opened(patient, RoleProcess("model", task, model), Path(cache)))


def _opened(patient: Patient, role: RoleProcess, cache: Path) -> Bundle:
    """A bundle of one file is unpacked aside: what root unpacks in the data folder would be in the roles' way."""
    path = Path(patient.settings.tasks[role.task].models[role.model].bundle)
    if path.is_file() and slot_of(patient.settings, role) is None:
        return open_bundle(path, cache=cache)
    return bundle_of(patient.settings, role)[1]


def _examined(patient: Patient, opened: Bundle) -> Verdict:
    manifest = opened.manifest
    title = f"{manifest.name} {manifest.version}"
    check_environment(manifest)
    free = available_mb(patient)
    if free is not None and free < _LEAST_MB:
        why = f"Only {free} MB of memory are free; an interpreter beside the running ones could push one of them out."
        return skipped(why, "Stop the model first (systemctl stop roost-model@…), or add memory.", freeMb=free)
    try:
        trial = try_in_child(opened, timeout_s=TRIAL_S * patient.patience, timed=False)
    except Undecided as error:
        return warn(error.problem, "Ask again when the device is less busy.")
    if trial.differences:
        problem = f"{title} answers otherwise than its goldens say: {trial.differences[0]}"
        remedy = "It was made for another runtime: have it checked for this one (roost bundle check)."
        return fail(problem, remedy, goldens=len(trial.goldens), differences=len(trial.differences))
    facts: Facts = {
        "version": manifest.version,
        "digest": opened.digest,
        "runtime": trial.runtime,
        "loadMs": trial.load_ms,
        "firstMs": trial.first_ms,
        "memoryMb": trial.rss_mb,
        "goldens": len(trial.goldens),
    }
    proof = f"{len(trial.goldens)} goldens agree" if trial.goldens else "it has no goldens"
    return ok(f"{title}: {trial.runtime} ran it in {trial.first_ms:.0f} ms; {proof}.", **facts)
