"""The program a trial runs in a child process: `python -m roost_models.bundle.trial_child KIND PATH [BYTES]`.

KIND is `bundle`, `goldens` (a bundle, its batches left out) or `model` (a file that nothing is known of).
BYTES is how much data it may hold (RLIMIT_DATA: what Python, numpy and the runtime allocate, not what they map).

On stdin the bundle's manifest. One JSON object on stdout: a `Trial`, `ModelFacts` or `Problem`; what the model itself
prints goes to stderr. Being killed by a damaged model is part of its job.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse, RoostError
from roost_models.bundle.folder import open_folder
from roost_models.bundle.goldens import differences, golden_input, ramps, recorded, warm_inputs
from roost_models.bundle.manifest import ImageContract
from roost_models.bundle.trial import GoldenTrial, ModelFacts, Problem, Trial
from roost_models.inference.interpreter import TfliteModel, engine_version
from roost_models.inference.predictor import PythonPredictor, load_predictor
from roost_models.inference.preprocess import pixels, tensor
from roost_models.internal_state.keeper import InternalState

_ROUNDS = 5
_BATCHES = (4, 16)
_WORTHWHILE = 0.9
"""A batch must cost at most this share of one-by-one, or it only costs memory."""


def main(arguments: list[str]) -> int:
    """Exit status 0 with an answer, whatever the answer is."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an answer here, not a case for a core dump
    ours = os.dup(1)
    os.dup2(2, 1)  # the model's own `print` must not spoil the answer
    kind, path, *memory = arguments
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory[0]), int(memory[0])))
    answer: Trial | ModelFacts | Problem
    try:
        if kind == "model":
            answer = look_into(Path(path))
        else:
            answer = try_bundle(Path(path), sys.stdin.buffer.read(), timed=kind == "bundle")
    except RoostError as error:
        answer = Problem(problem=error.problem, remedy=error.remedy)
    except MemoryError:
        answer = Problem(
            problem=f"it needs more memory than the {int(memory[0]) >> 20 if memory else 0} MiB granted.",
            remedy="Export a smaller model, or grant more.",
        )
    except Exception as error:  # noqa: BLE001 — whatever the author's code raises becomes a sentence
        answer = Problem(problem=f"{type(error).__name__}: {error}.", remedy="Correct the model.")
    with open(ours, "wb") as stdout:  # noqa: PTH123 — a descriptor, not a path
        stdout.write(msgspec.json.encode(answer))
    return 0


def try_bundle(path: Path, manifest: bytes, *, timed: bool) -> Trial:
    """Open the folder by this manifest, load, run the goldens, time each batch size if it is `timed`."""
    bundle = open_folder(path, manifest)
    started = time.perf_counter()
    predictor = load_predictor(bundle)
    load_ms = _since(started)
    if bundle.manifest.internal_state is not None and isinstance(predictor, PythonPredictor):
        InternalState(predictor.model, bundle.digest).snapshot()  # it can begin, and be saved
    warm = warm_inputs(bundle, predictor)
    first_ms = _timed(lambda: predictor.predict(warm[:1]))
    goldens = []
    for golden in bundle.manifest.goldens:
        outputs = predictor.predict([golden_input(bundle, predictor, golden)])[0]
        goldens.append(
            GoldenTrial(input=golden.input, outputs=recorded(outputs), differences=differences(golden, outputs))
        )
    times: dict[int, float] = {}
    failed: dict[int, str] = {}
    for size in bundle.manifest.batch.sizes if warm and timed else []:
        together = (warm * size)[:size]
        try:
            predictor.predict(together)  # builds the interpreter of this size
        except (Exception, SystemExit) as error:
            if size == 1:
                raise
            failed[size] = error.problem if isinstance(error, RoostError) else f"{type(error).__name__}: {error}"
            continue
        times[size] = _best(lambda batch=together: predictor.predict(batch))  # type: ignore[misc] # mypy cannot infer a lambda's default
    return Trial(
        runtime=predictor.runtime,
        load_ms=load_ms,
        first_ms=first_ms,
        ms_by_batch=times,
        failed_batches=failed,
        rss_mb=_largest_memory_mb(),
        goldens=goldens,
    )


def _largest_memory_mb() -> float:
    """From /proc, because getrusage still counts what the parent held when it forked."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def look_into(path: Path) -> ModelFacts:
    """Shapes, types, batch sizes that work, and what kind of numbers come out."""
    model = TfliteModel(path.read_bytes())
    shape = model.input.shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise Misuse(f"The model takes {shape}, not pictures of (1, height, width, 1 or 3).", "Import picture models.")
    picture = _pattern(model)
    alone = model.run(picture[np.newaxis])[0]
    sizes = [1]
    alone_ms = _best(lambda: model.run(picture[np.newaxis]))
    for size in _BATCHES:
        batch = np.stack([picture] * size)
        try:
            together = model.run(batch)
        except Misuse:
            break
        if not all(np.array_equal(row, alone) for row in together):
            break
        if _best(lambda batch=batch: model.run(batch)) / size > _WORTHWHILE * alone_ms:  # type: ignore[misc] # mypy cannot infer a lambda's default
            break
        sizes.append(size)
    return ModelFacts(
        engine=engine_version(model.engine),
        input_shape=list(shape),
        input_dtype=model.input.dtype,
        output_shape=list(model.output.shape),
        output_dtype=model.output.dtype,
        outputs=len(alone),
        batch_sizes=sizes,
        looks_like_probabilities=_probabilities(model, alone),
    )


def _probabilities(model: TfliteModel, row: NDArray[np.float32]) -> bool:
    """Quantised softmax always has the scale 1/256; floats must lie in 0..1 and add up to 1."""
    if model.output.quantised:
        return model.output.scale == 1 / 256
    return bool(row.min() >= 0 and row.max() <= 1 and abs(float(row.sum()) - 1) < 0.01)


def _pattern(model: TfliteModel) -> NDArray[np.float32] | NDArray[np.uint8]:
    _, height, width, channels = model.input.shape
    contract = ImageContract(
        width=width,
        height=height,
        color="gray" if channels == 1 else "rgb",
        range=(0.0, 1.0) if model.input.dtype == "float32" else "uint8",
    )
    return tensor(pixels(ramps(), contract), contract)


def _best(call: Callable[[], object]) -> float:
    return min(_timed(call) for _ in range(_ROUNDS))


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return _since(started)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1e3, 3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
