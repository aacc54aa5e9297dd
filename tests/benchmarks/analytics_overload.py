"""Overload (G16): the figures of `scripts/bench overload` in the one table."""

import sys

import overload
from analytics_figures import GOALS, Figure
from report import Outcome


def measure(quick: bool) -> list[Figure]:
    """The mix of that benchmark alone."""
    outcome = Outcome()
    overload.mix(outcome, quick, _say)
    skips, queues = outcome.data["skips"], outcome.data["queues_everything"]
    return [
        Figure(
            "G16",
            GOALS["G16"],
            f"{100 * skips['within_sla']:.2f} % within the SLA, champion {100 * skips['champion_share']:.1f} %, "
            f"{skips['defaults']} defaults, of {skips['asked']} requests",
            skips["within_sla"] == 1 and skips["champion_share"] >= 0.45 and skips["defaults"] == 0,
            f"a champion that queues everything: champion {100 * queues['champion_share']:.1f} %, "
            f"p50 {queues['p50_ms']:.0f} ms against {skips['p50_ms']:.0f} ms",
            "scaled to this machine, ratios kept; false alarms do not apply; `scripts/bench overload` has more of it",
        )
    ]


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
