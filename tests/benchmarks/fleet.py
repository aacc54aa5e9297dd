"""A fleet: what a device costs the controller as the fleet grows, what a bad bundle can do, and hundreds of sessions.

Cost is the processor time of the controller alone (reports taken in, gates judged), per device and roll-out; the
simulated devices are timed apart and left out. "Ever served" is the share of the devices of which any answer ever came
from the bad bundle, over the seeds; the worst seed is the figure. Both on a virtual clock.

Load: real MQTT sessions publish OTA reports into a real broker; gateway and central stream bring each to the fleet
view. Cost is the gateway's processor time for a report. Everything is on this machine; so are the times to the view.
"""

import sys
import time
from pathlib import Path
from typing import Any

from bench_fleet_load import load
from report import Outcome, Say, at_least, at_most, percentile

sys.path.insert(0, str(Path(__file__).parent.parent / "simulation"))

from rollout_world import DAY, HOUR, NEW, START, Fleet, build

from roost_edge.fleet_sim.truth import Known, Truth
from roost_models.rollout.actions import Action, Command, Event
from roost_models.rollout.controller import Controller

SIZES = (100, 300, 1000, 3000)
STORIES = {
    "good": Known(usual=Truth()),
    "agreement −5 points": Known(usual=Truth(canary=0.88, previous=0.92)),
    "latency × 3": Known(usual=Truth(p99_ms=240)),
    "crash loop": Known(usual=Truth(restarts_per_hour=20)),
    "crash loop when serving": Known(usual=Truth(restarts_per_hour_serving=20)),
    "devices go dark": Known(usual=Truth(goes_dark=0.5)),
    "goldens fail on some": Known(usual=Truth(), special=(({"camera": "noir"}, Truth(installs=0.0)),)),
    "wrong for one tag": Known(usual=Truth(), special=(({"camera": "noir"}, Truth(canary=0.6, previous=0.6)),)),
}


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    sessions = load((50, 100) if quick else (100, 300, 1000), 5 if quick else 20, say)
    growth = _growth(1 if quick else 3, say, outcome)
    seeds = 5 if quick else 100
    found = {name: _story(name, seeds, say) for name in STORIES}
    outcome.data |= {"sessions": sessions, "growth": growth, "stories": found, "seeds": seeds}
    bad = [figures for name, figures in found.items() if name != "good"]
    served = max(figures["served_worst"] for figures in bad)
    detected = min(figures["halted"] for figures in bad) / seeds
    per_device = [figures["us_per_device"] for figures in growth.values()]
    outcome.goals += [
        at_most("F9 served", "devices ever served by a bad bundle, worst of all", "", round(served, 4), 0.02),
        at_most("F9 missed", "bad bundles that reached everybody", "", round(1 - detected, 4), 0),
        at_most("F9 false", "good bundles that were halted", "", found["good"]["halted"] / seeds, 0.01),
        at_most(
            "F12 flat",
            "cost of a device, largest to smallest fleet",
            "×",
            round(per_device[-1] / per_device[0], 3),
            1.5,
        ),
    ]
    costs = [figures["gateway_us_per_report"] for figures in sessions.values()]
    arrived = min(figures["seen"] / figures["reports"] for figures in sessions.values())
    outcome.goals += [
        at_least("F12 arrived", "reports of real sessions that reached the fleet view", "", arrived, 1),
        at_most(
            "F12 gateway",
            "gateway's cost of a report, most to fewest sessions",
            "×",
            round(costs[-1] / costs[0], 3),
            1.5,
        ),
    ]
    outcome.lines += [
        f"{size:>5} sessions: {figures['seen']} of {figures['reports']} reports in the fleet view, "
        f"{figures['gateway_us_per_report']:.0f} µs of the gateway a report, to the view "
        f"{figures['to_view_p50_ms']:.0f} ms (p50), {figures['to_view_p99_ms']:.0f} ms (p99)"
        for size, figures in sessions.items()
    ]
    outcome.lines.append("")
    for name, figures in found.items():
        outcome.lines.append(
            f"{name:<24} halted {figures['halted']:3} of {seeds}, after {figures['hours_p50']:.1f} h (median), "
            f"ever served {figures['served_p50']:.2%} (median), {figures['served_worst']:.2%} (worst)"
        )
    return outcome


def _growth(rounds: int, say: Say, outcome: Outcome) -> dict[str, dict[str, float]]:
    found = {}
    for size in SIZES:
        say(f"a good bundle for {size} devices")
        best, reports, took = float("inf"), 0, 0.0
        for seed in range(rounds):
            began = time.process_time()
            own, reports = _controller_seconds(size, seed)
            took = time.process_time() - began
            best = min(best, own)
        found[str(size)] = {
            "us_per_device": round(best / size * 1e6, 1),
            "us_per_report": round(best / reports * 1e6, 2),
            "reports": reports,
            "simulated_s": round(took, 2),
        }
        outcome.lines.append(
            f"{size:5} devices: {found[str(size)]['us_per_device']:.0f} µs a device and roll-out, "
            f"{found[str(size)]['us_per_report']:.1f} µs a report ({reports} reports)"
        )
    outcome.lines.append("")
    return found


def _controller_seconds(size: int, seed: int) -> tuple[float, int]:
    """Processor seconds in the controller for three virtual days, and the reports it read."""
    fleet = build(Fleet(devices=size), seed)
    timed = Timed(fleet.controller)
    fleet.controller = timed  # type: ignore[assignment]  # the same calls, with a stop-watch
    fleet.run(START + 2 * HOUR)
    fleet.order(Command("start", "bench"))
    fleet.run(START + 3 * DAY)
    return timed.seconds, sum(timed.fleet.outcomes.values())


class Timed:
    """A controller, and the processor time that is spent in it."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.fleet = controller.fleet
        self.seconds = 0.0

    @property
    def finished(self) -> bool:
        """See `Controller`."""
        return self._controller.finished

    def deadline(self) -> int | None:
        """See `Controller`."""
        return self._controller.deadline()

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """See `Controller`."""
        began = time.process_time()
        actions = self._controller.handle(event, now)
        self.seconds += time.process_time() - began
        return actions

    def expire(self, now: int) -> tuple[Action, ...]:
        """See `Controller`."""
        began = time.process_time()
        actions = self._controller.expire(now)
        self.seconds += time.process_time() - began
        return actions


def _story(name: str, seeds: int, say: Say) -> dict[str, Any]:
    say(f"{name}: {seeds} fleets of 1,000")
    served, hours, halted = [], [], 0
    for seed in range(seeds):
        fleet = build(Fleet(known=STORIES[name]), 1000 + seed)
        fleet.run(START + 2 * HOUR)
        fleet.order(Command("start", "bench"))
        fleet.run(START + 30 * DAY, stop_when_finished=True)
        halted += fleet.halted is not None
        served.append(fleet.ever_served(NEW.digest))
        hours.append((fleet.now - START) / HOUR - 2)
    return {
        "halted": halted,
        "hours_p50": round(percentile(hours, 0.5), 2),
        "served_p50": percentile(served, 0.5),
        "served_worst": max(served),
    }
