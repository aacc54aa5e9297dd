"""The SLA whatever goes wrong (promise V4): a device under load, one fault after the other, judged by the requester.

Each fault has a device, a broker and a run of its own: a third of the time before it, a third with it, a third after.
The requester asks at a fixed rate and repeats what is open, as capture does; the watch is its own. The stories are
those of `tests/integration/test_fault_matrix.py`, under more load and with figures.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_processes import REPOSITORY
from report import Goal, Outcome, Say, at_least, at_most

from roost_broker.mosquitto import PrivateBroker

sys.path.insert(0, str(REPOSITORY / "tests" / "integration"))
from fault_world import FAULTS, Fault, Verdict, play

_RATE, _QUICK_RATE = 50.0, 20.0
_FLOOD = 10_000.0
_RECOVERY = "as before again within 5 s"


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    rate, seconds = (_QUICK_RATE, 3.0) if quick else (_RATE, 15.0)
    verdicts = {}
    for name, fault in FAULTS.items():
        say(f"{name}: {rate:g} requests/s for {seconds:g} s …")
        verdicts[name] = _play(fault, rate, seconds)
    outcome.data = {
        "rate_per_s": rate,
        "seconds": seconds,
        "flood_words_per_s_wanted": _FLOOD,
        "faults": {name: _figures(verdict) for name, verdict in verdicts.items()},
    }
    outcome.goals = _goals(verdicts)
    outcome.lines = _lines(verdicts, rate, seconds)
    return outcome


def _play(fault: Fault, rate: float, seconds: float) -> Verdict:
    with (
        tempfile.TemporaryDirectory(prefix="roost-bench-") as name,
        PrivateBroker(Path(name) / "mosquitto") as broker,
    ):
        return asyncio.run(play(Path(name), broker, fault, rate=rate, seconds=seconds, flood=_FLOOD))


def _figures(verdict: Verdict) -> dict[str, Any]:
    return {
        "asked": verdict.asked,
        "in_time_by_cause": dict(verdict.in_time),
        "share_in_time": round(verdict.share_in_time, 5),
        "too_late": verdict.too_late,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "slowest_ms": round(verdict.slowest_ms, 1),
        "recovery_s": None if verdict.recovery_s is None else round(verdict.recovery_s, 3),
        "words_flooded": verdict.flooded,
    }


def _goals(verdicts: dict[str, Verdict]) -> list[Goal]:
    all_of_them = verdicts.values()
    share = min(verdict.share_in_time for verdict in all_of_them) * 100
    recoveries = [verdict.recovery_s for verdict in all_of_them if verdict.recovery_s is not None]
    missing = any(verdicts[name].recovery_s is None for name, fault in FAULTS.items() if fault.recovers)
    return [
        at_least("V4-in-time", "answered within the SLA, the worst fault, 100 %", "%", round(share, 2), 100),
        at_most("V4-lost", "requests without any answer", "", sum(verdict.lost for verdict in all_of_them), 0),
        at_most("V4-doubled", "requests answered twice", "", sum(verdict.doubled for verdict in all_of_them), 0),
        Goal("V4-recovery", _RECOVERY, "s", None, met=False)  # measured, and there was none
        if missing
        else at_most("V4-recovery", _RECOVERY, "s", round(max(recoveries), 2), 5),
    ]


def _lines(verdicts: dict[str, Verdict], rate: float, seconds: float) -> list[str]:
    lines = [
        f"{rate:g} requests/s for {seconds:g} s each; all figures by the requester's watch",
        f"{'':<22} {'asked':>6} {'in time':>9} {'preferred':>10} {'fallback':>9} {'default':>8} "
        f"{'late':>5} {'lost':>5} {'twice':>6} {'slowest':>10} {'recovery':>9}",
    ]
    for name, verdict in verdicts.items():
        causes = verdict.in_time
        recovery = "–" if verdict.recovery_s is None else f"{verdict.recovery_s:.2f} s"
        lines.append(
            f"{name:<22} {verdict.asked:>6} {verdict.share_in_time:>9.2%} {causes['preferred']:>10} "
            f"{causes['fallback']:>9} {causes['default']:>8} {verdict.too_late:>5} {verdict.lost:>5} "
            f"{verdict.doubled:>6} {verdict.slowest_ms:>7.0f} ms {recovery:>9}"
            + (f"  {verdict.flooded} words flooded" if verdict.flooded else "")
        )
    return lines
