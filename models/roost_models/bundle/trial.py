"""Try a model in a child process with a time limit, so that a damaged one kills only the child.

A hash that fits proves only that the file is the one that was meant; whether a runtime survives it shows when it is
run (a flipped or truncated model segfaults tflite-runtime). The child is `trial_child`.
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from roost_broker.errors import Malformed
from roost_models.bundle.folder import Bundle
from roost_models.bundle.manifest import GoldenOutput, render

TIMEOUT_S = 120.0


class GoldenTrial(Struct, frozen=True, kw_only=True):
    """What one golden gave."""

    input: str | None
    outputs: list[GoldenOutput]
    differences: list[str] = field(default_factory=list)


class Trial(Struct, frozen=True, kw_only=True):
    """A bundle that was loaded and run."""

    runtime: str
    load_ms: float
    first_ms: float
    """The first evaluation, which pays for warming up."""
    ms_by_batch: dict[int, float] = field(default_factory=dict)
    """Best time of one evaluation of so many inputs together, preprocessing left out."""
    failed_batches: dict[int, str] = field(default_factory=dict)
    """Batch sizes that do not work, and why: not every model can be resized. A scaffold does without them."""
    rss_mb: float = 0.0
    """Largest memory of the child, Python and libraries included."""
    goldens: list[GoldenTrial] = field(default_factory=list)

    @property
    def differences(self) -> list[str]:
        """All that is not as the goldens say."""
        return [text for golden in self.goldens for text in golden.differences]


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What a strange `.tflite` file says about itself."""

    engine: str
    input_shape: list[int]
    input_dtype: str
    output_shape: list[int]
    output_dtype: str
    outputs: int
    batch_sizes: list[int]
    """Which of 1, 4 and 16 work, give what size 1 gives, and were cheaper for each input on this machine."""
    looks_like_probabilities: bool
    """Whether outputs of a test pattern lie in 0..1 and add up to 1."""


class Undecided(Malformed):
    """A trial that did not end in time: of the bundle nothing is known, it may be that the machine was too busy."""


class Problem(Struct, frozen=True, kw_only=True):
    """Why a trial came to nothing, in the child's words."""

    problem: str
    remedy: str = ""


_Report = TypeVar("_Report", Trial, ModelFacts)


def try_in_child(bundle: Bundle, *, timeout_s: float = TIMEOUT_S, memory_bytes: int = 0, timed: bool = True) -> Trial:
    """Load the bundle and run its goldens in a child. Raises `Malformed` when the child dies, hangs or refuses.

    With `memory_bytes` the child may hold no more data than that. Unless `timed`, batches are neither tried nor timed,
    which on a slow board takes longer than all the rest. The child is handed the manifest, so one that is not written
    yet can be tried. Goldens that differ are not an error here: they are in the report.
    """
    title = f"Bundle {bundle.manifest.name} {bundle.manifest.version}"
    kind = "bundle" if timed else "goldens"
    return _run(kind, bundle.root, Trial, title, timeout_s, render(bundle.manifest), memory_bytes)


def inspect_in_child(model: Path, *, timeout_s: float = TIMEOUT_S) -> ModelFacts:
    """Look into a `.tflite` file that nothing is known of. Raises `Malformed`."""
    return _run("model", model, ModelFacts, f"Model {model.name}", timeout_s)


def _run(
    kind: str,
    path: Path,
    report: type[_Report],
    title: str,
    timeout_s: float,
    given: bytes = b"",
    memory_bytes: int = 0,
) -> _Report:
    command = [sys.executable, "-P", "-m", "roost_models.bundle.trial_child", kind, str(path.resolve())]
    command += [str(memory_bytes)] if memory_bytes else []
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False, input=given)
    except subprocess.TimeoutExpired as error:
        raise Undecided(
            f"{title} did not finish its trial within {timeout_s:g} s.", "It hangs, or this machine is too slow for it."
        ) from error
    if done.returncode < 0:
        raise Malformed(
            f"{title} killed its trial process ({_signal_name(-done.returncode)}).",
            "The model file is damaged, or this runtime cannot run it. Export it again.",
        )
    try:
        answer = msgspec.json.decode(done.stdout, type=dict[str, msgspec.Raw])
        if "problem" in answer:
            problem = msgspec.json.decode(done.stdout, type=Problem)
            raise Malformed(f"{title}: {problem.problem}", problem.remedy)
        return msgspec.json.decode(done.stdout, type=report)
    except msgspec.DecodeError as error:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise Malformed(
            f"{title} ended its trial process with status {done.returncode}: {last[0][:500]}.",
            "The model's own code or its runtime stopped the process.",
        ) from error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
