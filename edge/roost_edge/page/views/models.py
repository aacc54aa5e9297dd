"""Schedules and models: who may answer when, who does, and in which phase of its life each bundle is. Pure."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from roost_broker.messages import ModelState, OtaState, ScheduleSet
from roost_edge.page.view import View
from roost_edge.page.views.markup import Child, Html, badge, breakable, cut, el, joined, moment, table
from roost_edge.page.wellness import GRADES
from roost_rendezvous.schedule import ANY, Schedule, explain

_LABELS = 4
_PHASES = {"idle": "good", "serving": "good", "failed": "bad", "returning": "bad"}


def task_section(
    task: str, agreed: Schedule | None, said: ScheduleSet | None, view: View, now_ms: int, zone: tzinfo | None
) -> Html:
    """One task: its schedule as a picture and in words, its models as a table."""
    states = {(name, replica): state for (of, name, replica), state in view.models.items() if of == task}
    return el(
        "section",
        el("h2", task),
        _schedule(agreed, said, now_ms, zone),
        _models(agreed, states) if states else el("p", "No model has been heard of.", class_="none"),
    )


def _schedule(agreed: Schedule | None, said: ScheduleSet | None, now_ms: int, zone: tzinfo | None) -> Html:
    if agreed is None:
        return el("p", "Its schedule has not been heard of.", class_="none")
    whose = [f"Version {agreed.version}"]
    if said is not None and said.author:
        whose.append(f"by {cut(said.author, 60)}")
    why = f": {cut(said.why, 200)}" if said is not None and said.why else ""
    at = moment(said.timestamp, now_ms, zone) if said is not None else None
    words = el("details", el("summary", "In words"), el("ul", (el("li", one) for one in explain(agreed))))
    return joined(strip(agreed), el("p", ", ".join(whose), ", " if at else None, at, why, class_="dim"), words)


def strip(agreed: Schedule) -> Html:
    """The schedule as lanes on the time until its promise: from when on each model may answer."""
    end = max(agreed.sla_ms, agreed.default.after_ms, 1)
    begins: dict[str, int] = {}
    for step in agreed.steps:
        for name in step.accept:
            begins.setdefault(name, step.after_ms)
    lanes = [
        _lane("any other" if name == ANY else name, at, agreed.default.after_ms, end, "works")
        for name, at in begins.items()
    ]
    lanes.append(_lane(f"default: {cut(agreed.default.label, 24)}", agreed.default.after_ms, end, end, "default"))
    return el("div", lanes, class_="waterfall schedule")


def _lane(name: str, start: int, stop: int, end: int, kind: str) -> Html:
    first, last = 100 * start / end, 100 * stop / end
    width = max(0.6, last - first)
    rect = el(
        "rect", x=f"{min(first, 100 - width):.2f}%", width=f"{width:.2f}%", y="2", height="10", rx="2", class_=kind
    )
    drawing = el("svg", rect, width="100%", height="14", role="img", aria_label=f"{name}: from {start} ms on")
    step = el("div", drawing, el("span", f"{start} ms", class_="took"), class_="step")
    return el("div", el("div", cut(name, 40), class_="who"), el("div", step, class_="steps"), class_="lane")


def _models(agreed: Schedule | None, states: Mapping[tuple[str, int], ModelState]) -> Html:
    return table(
        ("model", "state", "place", "version", "median", "slowest 1 %", "answered", "says"),
        (_row(agreed, name, replica, state) for (name, replica), state in sorted(states.items())),
        class_="models",
    )


def _row(agreed: Schedule | None, name: str, replica: int, state: ModelState) -> Iterable[Child]:
    shown = f"{name} ({replica})" if replica else name
    labels = sorted(state.labels.items(), key=lambda one: -one[1])[:_LABELS]
    detail = el("span", cut(state.detail, 120), class_="dim") if state.detail and state.state != "ready" else None
    return (
        el("strong", breakable(shown)),
        joined(badge(GRADES.get(state.state, "off"), state.state), " ", detail),
        _place(agreed, name),
        cut(state.version, 24),
        f"{state.compute_p50_ms:.1f}\u00a0ms" if state.compute_p50_ms is not None else "",
        f"{state.compute_p99_ms:.1f}\u00a0ms" if state.compute_p99_ms is not None else "",
        f"{state.counts.get('answered', 0):,}",
        ", ".join(f"{cut(label, 20)} {count}" for label, count in labels),
    )


def _place(agreed: Schedule | None, name: str) -> str:
    if agreed is None:
        return ""
    if name in agreed.ignore:
        return "never official"
    if name in agreed.steps[0].accept:
        return "preferred"
    if name in agreed.models:
        return "next in line"
    return "if nobody else" if any(ANY in step.accept for step in agreed.steps) else "not in the schedule"


def phases(ota: OtaState | None) -> Html:
    """Bundles on their way: what the OTA agent says."""
    if ota is None or not ota.lines:
        return el(
            "p",
            "No model of this device is kept up to date over the air: none has ",
            el("code", "ota"),
            " in the settings.",
            class_="none",
        )
    rows = (
        (
            el("strong", breakable(f"{line.task}/{line.model}")),
            badge(_PHASES.get(line.phase, "warn"), line.phase),
            line.wanted or "none",
            ", ".join(f"{slot.version} ({slot.state})" for slot in line.slots),
            f"{line.bytes_done:,} of {line.bytes_total:,} bytes" if line.bytes_total else "",
            cut(line.problem, 200),
        )
        for line in ota.lines
    )
    return table(("line", "phase", "wanted", "here", "fetched", "problem"), rows)


def roles(view: View) -> Html:
    """Every process that is not a model."""
    if not view.roles:
        return el("p", "No role has been heard of.", class_="none")
    rows = (
        (
            el("strong", breakable(state.role)),
            badge(GRADES.get(state.state, "off"), state.state),
            f"{state.usage.memory_bytes / 1e6:.0f}\u00a0MB" if state.usage is not None else "",
            cut(state.detail, 160),
        )
        for _, state in sorted(view.roles.items())
    )
    return table(("role", "state", "memory", "says"), rows)
