"""Write the bundle of the visits model: `python -m roost_henhouse.make_visits`. Nothing is trained."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from roost_henhouse.recipe import BUNDLES, PYTHON_MODELS
from roost_models.bundle.writing import seal, write_bundle

_CARD = """\
# Visits in the last hour

A model with internal state: it counts the visits to each camera's nest box in the last hour and says `quiet`, `usual`
or `busy`. It looks at no picture. A visit begins with a request that no other came within two minutes before.

It is the example of how a model keeps what it knows from earlier requests (`docs/internal-state.md`): killed and
started again it goes on as if nothing had happened. Its scores are no probabilities, and three visits an hour were
called usual without asking any hen.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle. Exit status: 0 done, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="make_visits", description="Write the bundle of the visits model.")
    parser.add_argument("--out", type=Path, default=BUNDLES / "visits", help="where (default: the committed one)")
    options = parser.parse_args(arguments)
    fields = {
        "name": "henhouse-visits",
        "version": "0.1.0",
        "task": "henhouse",
        "engine": "python",
        "entry": "model.py",
        "labels": ["quiet", "usual", "busy"],
        "runtime": {"python": ">=3.11"},
        "licence": "Apache-2.0",
        "description": "Visits to the nest box in the last hour: quiet, usual or busy.",
        "training": {"method": "none", "command": "python -m roost_henhouse.make_visits"},
        "goldens": [{"past": visits, "tolerance": 1e-9} for visits in (0, 1, 3, 12)],
        "queue": {"max_waiting": 64},
        "pure": False,
        "internal_state": {"restore": "snapshot", "snapshot_every": 100},
        "card": "CARD.md",
    }
    files = {"model.py": (PYTHON_MODELS / "visits.py").read_bytes(), "CARD.md": _CARD.encode()}
    write_bundle(options.out, fields, files)
    seal(options.out, goldens=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
