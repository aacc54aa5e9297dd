"""How a roll-out looks: its plan as a table, its progress as bars on a terminal and as lines in a pipe."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from roost_broker.clock import SECOND
from roost_broker.printable import printable, printable_lines
from roost_edge.cli import output
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from rich.live import Live

    from roost_models.rollout.conducting import Conducting
    from roost_models.rollout.gates import Gate
    from roost_models.rollout.planning import Plan
    from roost_models.rollout.progress import Progress

_LINE_EVERY_S = 10.0
_OBJECT_EVERY_S = 1.0
_GATES_SHOWN = 8
_VERDICTS = {"pass": "✓", "wait": "…", "fail": "✗", "not judged": "–"}


def span(seconds: float) -> str:
    """A time that people read: 40 s, 12 min, 5.2 h, 3.0 days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def plan_table(plan: "Plan") -> str:
    """The steps, one line each."""
    rows = [("step", "in shadow", "serving", "at least", "requests each", "lasts", "shows", "risk at most")]
    for number, step in enumerate(plan.steps, 1):
        rows.append(
            (
                str(number),
                f"{step.devices} ({step.shadow:.2%})",
                f"{step.served} ({step.serving:.2%})" if step.served else "–",
                str(step.least),
                f"{step.each:.0f}",
                span(step.dwell_s),
                f"−{step.detects:.1%}",
                "–" if step.risk is None else f"{step.risk:.3%}",
            )
        )
    return output.table(rows)


def plan_words(plan: "Plan") -> str:
    """What the plan promises, in sentences."""
    policy = plan.policy
    expected = ", ".join(f"{name} {share:.1%}" for name, share in plan.baseline.shares.items())
    weak = [str(number) for number, step in enumerate(plan.steps, 1) if step.detects > policy.effect * 1.01]
    lines = [
        f"{counted(plan.devices, 'device')}, {plan.requests_per_day:g} requests a day each; expected: {expected}.",
        f"It takes at least {span(plan.duration_s)}. Each step shows a fall of {policy.effect:.0%} with a chance of "
        f"{1 - policy.miss:.0%}; a good bundle is halted with a chance of at most {policy.false_halt:.0%}.",
        f"At most {plan.ever_served:.1%} of the devices serve it before the gates have passed with such devices.",
    ]
    if weak:
        lines.append(
            f"Step {', '.join(weak)}: too few devices or too little time for that; the column says what shows there."
        )
    return "\n".join(lines)


def facts(progress: "Progress", conducting: "Conducting | None" = None) -> dict[str, Any]:
    """All that is known, as plain values."""
    order, plan = progress.order, progress.order.plan
    step = plan.steps[progress.step]
    found: dict[str, Any] = {
        "rollout": order.rollout_id,
        "task": order.task,
        "bundle": order.bundle,
        "previous": order.previous,
        "state": progress.state,
        "step": progress.step + 1,
        "steps": len(plan.steps),
        "shadow": 1.0 if progress.state == "complete" else step.shadow,
        "serving": 1.0 if progress.state == "complete" else step.serving,
        "generation": progress.generation,
        "everServed": len(progress.ever_served),
        "reason": progress.reason,
    }
    if conducting is not None:
        controller = conducting.controller
        found |= {
            "devices": dict(controller.fleet.phases()),
            "reporting": len(controller.fleet),
            "servingNow": controller.fleet.serving(),
            "everServed": len(controller.fleet.ever_served),
            "ignored": dict(conducting.ignored),
            "dwellLeftS": round(controller.dwell_left_ns(time.time_ns()) / SECOND, 1),
            "gates": [gate_facts(gate) for gate in controller.gates],
        }
    return found


def gate_facts(gate: "Gate") -> dict[str, Any]:
    """One gate, as plain values."""
    return {
        "gate": gate.name,
        "group": gate.group,
        "verdict": gate.verdict,
        "value": gate.value,
        "limit": gate.limit,
        "devices": gate.devices,
        "of": gate.of,
        "text": gate.text,
    }


def worth_showing(gates: "list[Gate]") -> "list[Gate]":
    """The gates of all devices and of those that serve, and what fails or waits anywhere."""
    order = {"fail": 0, "wait": 1, "pass": 2, "not judged": 3}
    main = [gate for gate in gates if not gate.group.count("=") or gate.verdict in ("fail", "wait")]
    main.sort(key=lambda gate: order[gate.verdict])
    return main[: _GATES_SHOWN * 2]


def screen(conducting: "Conducting") -> str:
    """The whole state in some lines, for a terminal."""
    controller, progress = conducting.controller, conducting.controller.progress
    order, steps = progress.order, progress.order.plan.steps
    left = controller.dwell_left_ns(time.time_ns()) / SECOND
    lines = [
        f"{order.bundle.name} {order.bundle.version} for {order.task}: {progress.state}, step {progress.step + 1} of "
        f"{len(steps)}" + (f", at least {span(left)} more" if progress.state == "running" else "")
    ]
    for number, step in enumerate(steps):
        sign = "▶" if number == progress.step and not progress.over else "✓" if number < progress.step else " "
        lines.append(
            f" {sign} shadow {output.bar(step.shadow, 16)} {step.shadow:7.2%}"
            f"   serving {output.bar(step.serving, 16)} {step.serving:7.2%}   {span(step.dwell_s)}"
        )
    phases = controller.fleet.phases()
    told = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items(), key=lambda item: -item[1]))
    lines.append(
        f"Devices: {len(controller.fleet)} report; {told or 'none yet'}; {controller.fleet.serving()} serve it."
    )
    for gate in worth_showing(controller.gates):
        lines.append(f" {_VERDICTS[gate.verdict]} {gate.name:<9} {gate.group:<20.20} {gate.text}")
    if conducting.ignored:
        ignored = ", ".join(f"{count} {name}" for name, count in sorted(conducting.ignored.items()))
        lines.append(f"Reports left out: {ignored}.")
    return printable_lines("\n".join(lines))


class Shown:
    """Shows a roll-out while it goes on: live on a terminal, a line now and then in a pipe, or JSON lines."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._live: Live | None = None
        self._next = 0.0
        self._last = ""

    def __enter__(self) -> Callable[["Conducting"], None]:
        if not self._json and sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(), auto_refresh=False)
            self._live.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A sentence between the pictures."""
        text = printable_lines(text)
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        elif self._json:
            output.say(text)
        else:
            print(text, flush=True)

    def show(self, conducting: "Conducting") -> None:
        """How it stands now; not more often than is readable."""
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(screen(conducting)), refresh=True)
            return
        progress = conducting.controller.progress
        key = f"{progress.state} {progress.step} {conducting.controller.finished}"
        now = time.monotonic()
        if key == self._last and now < self._next:
            return
        self._last, self._next = key, now + (_OBJECT_EVERY_S if self._json else _LINE_EVERY_S)
        if self._json:
            print(msgspec.json.encode(facts(progress, conducting)).decode(), flush=True)
        else:
            print(printable(line(conducting)), flush=True)


def line(conducting: "Conducting") -> str:
    """How it stands, in one line."""
    controller, progress = conducting.controller, conducting.controller.progress
    step = controller.step
    waiting = [f"{gate.name} ({gate.group})" for gate in controller.gates if gate.verdict == "wait"]
    text = (
        f"{progress.state} step {progress.step + 1}/{len(progress.order.plan.steps)} shadow {step.shadow:.2%} serving "
        f"{step.serving:.2%}; {counted(len(controller.fleet), 'device reports', 'devices report')}, "
        f"{counted(controller.fleet.serving(), 'serves', 'serve')} it"
    )
    text += f"; waits for {', '.join(waiting[:3])}" if waiting else ""
    unheard = next((gate for gate in controller.gates if gate.name == "alarms" and gate.verdict == "not judged"), None)
    return text + (f"; alarms: {unheard.text}" if unheard is not None else "")
