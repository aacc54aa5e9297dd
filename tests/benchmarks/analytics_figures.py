"""What a room of the meta-analytics measures: figures with their goal, and the goals themselves (G1 to G19)."""

import os
from dataclasses import dataclass
from pathlib import Path

GOALS = {
    "G1": "rate changes, 1 false alarm in 1e5 events: delay ≤ 14 stop, 80 ×0.5, 600 ×0.8, 500 ×1.25, 35 ×2, 8 ×4",
    "G2": "rate prediction: error ≤ 4 % on busy streams, ≤ 20 % on hundreds an hour, better than baselines",
    "G3": "10-minute sketches ≤ 1.5 kB, 4,320 merged: error ≤ 2 %, tails ≤ 5 %; ≤ 150 ms, rolled up ≤ 50 ms",
    "G4": "latency histogram: ≤ 5 % relative, ≤ 1 µs an add, ≤ 30 ns in batches, ≤ 2 kB stored",
    "G5": "a 30 s hold in 10 minutes shows as 5 ± 1 % for 50 alignments; nothing invented in honest gaps (≤ 0.5 %)",
    "G6": "2 % tail contamination: ≥ 95 % of periods found at 1 false alarm in 1,000",
    "G7": "the breed relabelled at sample 120: alarm by 130 in ≥ 90 % of seeds, null runs ≤ 1 %; verdict ≥ 95 %",
    "G8": "k-means change with equal marginals: ≥ 95 % found, median ≤ 40 samples, 0 of 100 null runs at 80",
    "G9": "public change streams: ≥ 23 of 28 labelled windows at ≤ 0.5 false alarms a week, nothing tuned",
    "G10": "clustered streams: false alarms 0.5 to 1.5 × the budget; an injected stop and a doubling are found",
    "G11": "composite alarm: 0.5 to 1.5 × the budget over ≥ 12 weeks; single ≥ 99 %, 8 of 20 ≥ 90 %, 4 of 20 ≥ 85 %",
    "G12": "a level shift of 35 % is exactly one episode, then the new normal",
    "G13": "risk bound: coverage 95 ± 1 % over 2,000 simulations; a share of 10 % bounds a tenth",
    "G14": "stratified sample: unbiased, variance ≤ 0.5 × simple random on a planted case",
    "G15": "cascade: 40/80/70/70 within 0.5 point, advice against the promotion, the cause blamed in ≥ 95 %",
    "G16": "overload 1,000/2,000/10,000: 100 % within the SLA, the champion answers ≥ 45 %, no defaults",
    "G17": "traces: ≤ 20 µs a span, ≤ 1 µs when off, ring ≤ 16 MB, exports valid",
    "G18": "import ≤ 0.5 s, ≤ 60 MB RSS with numpy alone; ≤ 10 µs an event, ≤ 20 kB an idle stream, ≤ 3 MB a day",
    "G19": "under a week of history or 30 events an hour: says so, widens, never pages",
}


@dataclass(frozen=True)
class Figure:
    """One figure. Its id begins with that of its goal: `G1`, `G1 stop`, `G3 flat`; others (`M11`) may stand beside."""

    id: str
    goal: str
    """What was aimed for, for people."""
    measured: str
    """What came out, with its unit and its number of trials; `""` when it could not be measured (`note` says why)."""
    passed: bool | None
    """None: nothing is claimed (not measured, or a figure without a goal)."""
    beside: str = ""
    """False alarms a week where something is detected, and what a dummy baseline or a rival does on the same data."""
    note: str = ""
    """What a reader must know to judge it."""

    @property
    def of(self) -> str:
        """The goal it belongs to."""
        return self.id.split(" ", 1)[0]


def nab_folder() -> Path | None:
    """The Numenta Anomaly Benchmark where somebody has it (`scripts/bench analytics --nab DIR`, or $ROOST_NAB)."""
    named = os.environ.get("ROOST_NAB", "")
    return Path(named) if named and Path(named).is_dir() else None
