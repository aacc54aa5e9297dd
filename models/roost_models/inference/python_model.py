"""Engine `python`: the author writes one function, the scaffold does the rest.

    def predict(image, context):        # uint8 (height, width, channels) as the input contract says, or None
        return {"egg": 0.9}             # labels of the manifest; those left out score 0

Optional: `def load(folder)`, called once; what it returns is `context.model`.

A model with internal state (`internal_state` in the manifest) says how a request changes it, and what `predict` may
know of it:

    def fresh():                        # optional; without it the state begins as {}
        return {"seen": 0}

    def observe(memory, context):       # once for each request, in order, whether it is then answered or not
        memory["seen"] += 1
        return memory["seen"]           # `context.past` in predict, for this request

The source is compiled from the
verified bytes under the bundle's name; nothing is imported from the bundle by name. It runs with the rights of the
process: a bundle is trusted like any program one installs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from roost_broker.errors import Malformed
from roost_models.bundle.folder import Bundle


@dataclass(frozen=True, slots=True)
class Context:
    """What a model may know besides the picture: the injected state, the request's tags and values."""

    model: Any = None
    """What the author's `load` returned."""
    folder: Path = field(default_factory=Path)
    """The bundle's files."""
    state: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    at_ms: int = 0
    """When the request was made, wall clock of whoever made it."""
    past: Any = None
    """What `observe` returned for this request."""


class PythonModel:
    """The author's functions. Raises `Malformed` when the source cannot be used."""

    def __init__(self, bundle: Bundle) -> None:
        entry = bundle.manifest.entry
        name = f"bundle {bundle.manifest.name} {bundle.manifest.version}: {entry}"
        source = bundle.read(entry)
        for path in bundle.manifest.files:
            bundle.read(path)  # `load` opens files itself: they must still be the verified ones when it begins
        module = ModuleType(f"roost_bundle_{bundle.digest[:16]}")
        module.__file__ = str(bundle.root / entry)
        try:
            exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 — running the author's code is the job
            self._predict = _function(module, "predict")
            self.folder = bundle.root
            self.model = _function(module, "load")(bundle.root) if hasattr(module, "load") else None
            self._observe = _function(module, "observe") if bundle.manifest.internal_state is not None else None
            self._fresh = _function(module, "fresh") if hasattr(module, "fresh") else dict
        except Malformed:
            raise
        except (Exception, SystemExit) as error:  # the author's code may raise anything
            raise Malformed(
                f"{name} cannot be loaded: {type(error).__name__}: {error}.", "Correct it and check it again."
            ) from error

    def fresh(self) -> Any:
        """Internal state of a model that has seen nothing. Raises whatever the author's function raises."""
        return self._fresh()

    def observe(self, memory: Any, context: Context) -> Any:
        """Let a request change `memory`; what `predict` may know of the past. Raises whatever the author's does."""
        return None if self._observe is None else self._observe(memory, context)

    def predict(self, image: Any, context: Context) -> dict[str, float]:
        """Call the author's function. Raises whatever it raises, and `TypeError` for another kind of answer."""
        answer = self._predict(image, context)
        if not isinstance(answer, Mapping):
            raise TypeError(f"predict returned {type(answer).__name__}, not a dict of label: score")
        scores = {str(label): float(score) for label, score in answer.items()}
        if not scores:
            raise ValueError("predict returned no scores")
        for label, score in scores.items():
            if not math.isfinite(score):
                raise ValueError(f"predict returned {score} for {label!r}")
        return scores


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise Malformed(f"The model's source defines no function {name!r}.", f"Write `def {name}(…)`.")
    return cast("Callable[..., Any]", function)
