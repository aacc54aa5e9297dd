"""`scripts/bench NAME [--quick] [--json] [--out FILE]`: runs one benchmark.

A benchmark is a module of this folder with `run(quick: bool, say: Say) -> Outcome`; one with options of its own
declares them in `arguments(parser)` and takes them as keywords. With --json, stdout is one object {"bench", "machine",
"load", "goals", "data"}; without it, a table; --out writes that object to a file beside either. Progress goes to
stderr. The status is 0 whether or not a goal was met, 2 for misuse. `load` is the machine's load average (1, 5 and 15
minutes) before and after.
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
_OPTIONS = frozenset({"name", "quick", "json", "out"})
_HELPER_PREFIXES = ("bench_", "analytics_")


def names() -> list[str]:
    """The benchmarks there are."""
    found = (path for path in _FOLDER.glob("*.py") if not path.stem.startswith(_HELPER_PREFIXES))
    return sorted(path.stem for path in found if "\ndef run(" in path.read_text(encoding="utf-8"))


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure; see docs for what the goals mean.")
    parser.add_argument("name", choices=names(), help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="end within 50 s; fewer samples")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON object there, too")
    chosen = next((word for word in sys.argv[1:] if word in names()), None)
    if chosen and hasattr(module := importlib.import_module(chosen), "arguments"):
        module.arguments(parser)
    asked = parser.parse_args()
    own = {name: value for name, value in vars(asked).items() if name not in _OPTIONS}
    before = os.getloadavg()
    outcome: Outcome = importlib.import_module(asked.name).run(asked.quick, _say, **own)
    load = {"before": [round(x, 2) for x in before], "after": [round(x, 2) for x in os.getloadavg()]}
    whole = {
        "bench": asked.name,
        "machine": machine(),
        "load": load,
        "goals": [dataclasses.asdict(goal) for goal in outcome.goals],
        "data": outcome.data,
    }
    if asked.out is not None:
        asked.out.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if asked.json:
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
