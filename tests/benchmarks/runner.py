"""`scripts/bench NAME [--quick] [--json]`: runs one benchmark.

A benchmark is a module of this folder with `run(quick: bool, say: Say) -> Outcome`. With --json, stdout is one object
{"bench", "machine", "load", "goals", "data"}; without it, a table. Progress goes to stderr. The status is 0 whether or
not a goal was met, 2 for misuse. `load` is the machine's load average (1, 5 and 15 minutes) before and after.
"""

import argparse
import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path

from report import Outcome, machine

_FOLDER = Path(__file__).parent
_HELPERS = frozenset({"runner", "report"})
"""So are all whose name begins with `bench_`."""


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem not in _HELPERS and path.stem[:6] != "bench_")


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure; see docs for what the goals mean.")
    parser.add_argument("name", choices=names(), help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="end within 50 s; fewer samples")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    before = os.getloadavg()
    outcome: Outcome = importlib.import_module(asked.name).run(asked.quick, _say)
    load = {"before": [round(x, 2) for x in before], "after": [round(x, 2) for x in os.getloadavg()]}
    if asked.json:
        whole = {
            "bench": asked.name,
            "machine": machine(),
            "load": load,
            "goals": [dataclasses.asdict(goal) for goal in outcome.goals],
            "data": outcome.data,
        }
        print(json.dumps(whole, indent=2))
    else:
        _show(outcome, load)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(outcome: Outcome, load: dict[str, list[float]]) -> None:
    for line in outcome.lines:
        print(line)
    print()
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, Mosquitto {here['mosquitto']}; load {load}")
    print()
    width = max((len(goal.goal) for goal in outcome.goals), default=0)
    for goal in outcome.goals:
        measured = "not measured" if goal.measured is None else f"{goal.measured:g} {goal.unit}"
        verdict = {True: "met", False: "missed", None: ""}[goal.met]
        print(f"{goal.id:<12} {goal.goal:<{width}}  {measured:>16}  {verdict}")


if __name__ == "__main__":
    sys.exit(main())
