"""The cast of the demo: which models run, in the order of the schedule's preference, and where their bundles are."""

import importlib.util
import os
from pathlib import Path

from roost_broker.errors import Misuse

NODE, TASK, CAMERA = "coop-1", "henhouse", "nest"

MODELS = ("champion", "fast", "rules", "canary")
"""The last is the canary: it answers like the others, and the schedule never listens to it."""

_HELP = "Run the demo from a checkout of the repository, or set ROOST_HENHOUSE to its folder models/henhouse."


def find_henhouse() -> Path:
    """The folder with `bundles/` and `schedule.toml`. Raises `Misuse` where there is none."""
    named = os.environ.get("ROOST_HENHOUSE")
    if named:
        places = [Path(named)]
    else:
        spec = importlib.util.find_spec("roost_henhouse")  # found, not imported: it brings numpy
        places = [] if spec is None or spec.origin is None else [Path(spec.origin).resolve().parent.parent]
    for place in places:
        if (place / "schedule.toml").is_file() and all((place / "bundles" / model).is_dir() for model in MODELS):
            return place
    where = ", ".join(str(place) for place in places) or "nowhere: roost_henhouse is not installed"
    raise Misuse(f"The henhouse's trained bundles were not found ({where}).", _HELP)
