"""The only import site of the TFLite runtimes: tflite-runtime (Python ≤ 3.11) and ai-edge-litert (≥ 3.12).

Rules:

1. Bytes, never a file name: the interpreter takes what was verified. A damaged file segfaults tflite-runtime, so
   whoever tries a strange one does it in a child process (`bundle.trial`).
2. One thread for each model; parallelism is by model (two threads gave a p95 of up to 150 ms on two cores).
3. One interpreter for each batch size, made when first needed. Scores do not depend on the batch.
4. Only building an interpreter proves an environment: numpy 2 beside tflite-runtime imports well and dies here.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.pins import installed

ENGINES = {"tflite-runtime": "tflite_runtime.interpreter", "ai-edge-litert": "ai_edge_litert.interpreter"}
"""Distribution → module, in the order of preference."""

_INSTALL = "Install Roost with its `edge` extra: pip install 'roost[edge]'."


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape (batch first), type and quantisation of a model's input or output."""

    shape: tuple[int, ...]
    dtype: str
    """`float32`, `uint8` or `int8`."""
    scale: float
    zero_point: int

    @property
    def quantised(self) -> bool:
        """Whether numbers stand for `(q - zero_point) * scale`."""
        return self.dtype != "float32" and self.scale > 0


class TfliteModel:
    """One model with one picture in and one row of numbers out. Not safe for two threads at once.

    `prefer` names the distributions that may be used, best first; by default any that is installed.
    """

    def __init__(self, content: bytes, prefer: Sequence[str] = ()) -> None:
        self._content = content
        self._factory, self.engine = _load_engine(tuple(prefer) or tuple(ENGINES))
        self._by_size: dict[int, Any] = {}
        first = self._interpreter(1)
        self.input = _spec(first.get_input_details(), "input")
        self.output = _spec(first.get_output_details(), "output")

    @property
    def number_format(self) -> str:
        """What the model computes with, as far as its ends show it."""
        return self.input.dtype

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Evaluate `batch` (B, …) as floats or raw pixels; returns (B, outputs), dequantised."""
        size = len(batch)
        interpreter = self._interpreter(size)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], self._to_model(batch))
        interpreter.invoke()
        raw = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return self._from_model(raw.reshape(size, -1))

    def _interpreter(self, size: int) -> Any:
        """The interpreter for one batch size. Raises `Misuse` when the model cannot be evaluated so."""
        if size not in self._by_size:
            try:
                interpreter = self._factory(model_content=self._content, num_threads=1)
                if size != 1:
                    detail = interpreter.get_input_details()[0]
                    interpreter.resize_tensor_input(detail["index"], [size, *detail["shape"][1:]])
                interpreter.allocate_tensors()
            except (RuntimeError, ValueError, SystemError, AttributeError, ImportError) as error:
                raise Misuse(
                    f"{self.engine} cannot build an interpreter for a batch of {size}: {error}.",
                    "List only batch sizes that work. If even 1 fails: numpy and the runtime must fit "
                    "(numpy < 2 with tflite-runtime).",
                ) from error
            self._by_size[size] = interpreter
        return self._by_size[size]

    def _to_model(self, batch: NDArray[Any]) -> NDArray[Any]:
        spec = self.input
        if tuple(batch.shape[1:]) != spec.shape[1:]:
            raise Misuse(f"The model takes {spec.shape[1:]}, not {batch.shape[1:]}.", "Correct the input contract.")
        if spec.dtype == "float32":
            return batch.astype(np.float32, copy=False)
        limits = np.iinfo(spec.dtype)
        if batch.dtype == np.uint8:  # raw pixels: the model's own levels, shifted when they are signed
            return batch if spec.dtype == "uint8" else (batch.astype(np.int16) - 128).astype(np.int8)
        levels = np.rint(batch / np.float32(spec.scale)) + spec.zero_point
        quantised: NDArray[Any] = np.clip(levels, limits.min, limits.max).astype(spec.dtype)
        return quantised

    def _from_model(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        spec = self.output
        if not spec.quantised:
            return raw.astype(np.float32)
        return (raw.astype(np.int32) - spec.zero_point).astype(np.float32) * np.float32(spec.scale)


def engine_version(distribution: str) -> str:
    """For example `tflite-runtime 2.14.0`."""
    return f"{distribution} {installed(distribution) or 'unknown'}"


def _load_engine(wanted: tuple[str, ...]) -> tuple[Any, str]:
    """The Interpreter class of the first runtime that is there, and its distribution's name."""
    reasons = []
    for distribution in wanted:
        module = ENGINES.get(distribution)
        if module is None or installed(distribution) is None:
            reasons.append(f"{distribution} is not installed")
            continue
        try:
            return importlib.import_module(module).Interpreter, distribution
        except (ImportError, AttributeError) as error:
            reasons.append(f"{distribution} does not import ({error})")
    raise Misuse(f"No TFLite runtime: {'; '.join(reasons)}.", _INSTALL)


def _spec(details: list[dict[str, Any]], end: str) -> TensorSpec:
    if len(details) != 1:
        raise Misuse(f"The model has {len(details)} {end}s; a bundle's model has one.", "Export it with a single one.")
    detail = details[0]
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in ("float32", "uint8", "int8"):
        raise Malformed(f"The model's {end} is {dtype}.", "Export it with float32, uint8 or int8 at both ends.")
    scale, zero_point = detail["quantization"]
    return TensorSpec(tuple(int(n) for n in detail["shape"]), dtype, float(scale), int(zero_point))
