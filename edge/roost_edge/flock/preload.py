"""What every model needs, imported once for all: before any thread, before any fork.

What cannot be imported is left to the model that needs it, which then says so.
"""

import gc
import importlib
import json
from collections.abc import Iterable
from pathlib import Path

_EVERY = (
    "roost_broker.faults",
    "roost_models.inference.warming",
    "roost_models.internal_state.rebuild",
    "roost_models.scaffold.partition",
    "roost_models.scaffold.presence",
    "roost_models.scaffold.role",
    "roost_models.scaffold.settings",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.WebPImagePlugin",
    "concurrent.futures.thread",
    "encodings.idna",
)
_MOST_BYTES = 1_000_000


def preload(bundles: Iterable[Path]) -> None:
    """Import for models with these bundles, and keep all of it out of the collector's sight.

    The collector writes into every object it looks at, and a page that is written to is no longer shared.
    """
    gc.disable()
    for module in _EVERY:
        _try(module)
    if any(_may_be_tflite(bundle) for bundle in bundles):
        _import_engine()
    gc.collect()
    gc.freeze()


def _may_be_tflite(bundle: Path) -> bool:
    """A look, not a check: whoever opens the bundle checks it."""
    try:
        if not bundle.is_dir():
            return bundle.is_file()
        with (bundle / "manifest.json").open("rb") as file:
            return bool(json.loads(file.read(_MOST_BYTES)).get("engine") == "tflite")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _import_engine() -> None:
    """The first runtime that is there: the one that models prefer."""
    from roost_models.bundle.pins import installed
    from roost_models.inference.interpreter import ENGINES

    for distribution, module in ENGINES.items():
        if installed(distribution) is not None and _try(module):
            return


def _try(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001 - whatever it is, the one who needs the module meets it, and tells of it
        return False
    return True
