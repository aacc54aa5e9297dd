"""Traces (G17): the figures of `scripts/bench traces` in the one table."""

import sys

import traces
from analytics_figures import Figure


def measure(quick: bool) -> list[Figure]:
    """All of that benchmark's goals."""
    outcome = traces.run(quick, _say)
    return [
        Figure(
            goal.id,
            f"{goal.goal} ≤ {limit} {goal.unit}",
            "" if goal.measured is None else f"{goal.measured:g} {goal.unit}",
            goal.met,
            note="as `scripts/bench traces`; that the exports are valid is tested (tests/unit/traces)"
            if goal.id.endswith("ring")
            else "",
        )
        for goal, limit in zip(outcome.goals, (20, 1, 16), strict=True)
    ]


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
