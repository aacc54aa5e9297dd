"""The view, drawn: a pure function from what is known to what a terminal shows. This and `live` need rich."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from roost_broker.messages import Alert, ModelOutcome, Output, Result
from roost_edge.demo.half_blocks import Cell
from roost_edge.demo.view_model import ModelView, ViewModel

_CAUSES = {"preferred": "green", "fallback": "yellow", "override": "cyan", "default": "bold red"}
_STATES = {"ready": "green", "gone": "red", "failed": "red", "stopped": "dim", "unknown": "dim"}
_ALERTS = {"new": "bold green", "update": "dim", "end": "blue"}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ANSWER_ROWS = 7
_NUMBERS = 4


@dataclass(frozen=True, slots=True)
class Scene:
    """What the drawing needs beside the view model."""

    title: str
    elapsed_s: float
    hint: str
    width: int
    height: int
    picture: Sequence[Sequence[Cell]] = ()


def picture_rows(height: int) -> int:
    """Lines the picture may have on a terminal of this height; 0 on a small one."""
    rows = min(15, height - 22)
    return rows if rows >= 8 else 0


def draw(view: ViewModel, scene: Scene) -> RenderableType:
    """Everything, top to bottom; a small terminal goes without the models' table and the alerts."""
    answer_rows = max(_ANSWER_ROWS, len(scene.picture))
    lanes = max(1, len(view.models))
    parts = [_head(scene), _top(view, scene, answer_rows), _race(view, scene.width, lanes + 1)]
    left = scene.height - (1 + answer_rows + 2 + lanes + 1 + 2 + 1)
    table_rows = max(_NUMBERS, lanes + 1)
    if scene.width >= 100 and left >= table_rows + 2:
        side_by_side = Table.grid(expand=True)
        side_by_side.add_column(ratio=11)
        side_by_side.add_column(ratio=9)
        side_by_side.add_row(_models(view, table_rows), _numbers(view, table_rows))
        parts.append(side_by_side)
        left -= table_rows + 2
    elif left >= _NUMBERS + 2:
        parts.append(_numbers(view, _NUMBERS))
        left -= _NUMBERS + 2
    if left >= 3:
        parts.append(_alerts(view, left - 2))
    hint = Text(scene.hint, style="dim", no_wrap=True, overflow="ellipsis")
    return Group(*parts, hint)


def _head(scene: Scene) -> RenderableType:
    minutes, seconds = divmod(int(scene.elapsed_s), 60)
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    line.add_row(Text(f" {scene.title}", style="bold"), Text(f"{minutes:02d}:{seconds:02d} ", style="bold"))
    return line


def _panel(body: RenderableType, title: str, rows: int) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="dim", height=rows + 2)


def _top(view: ViewModel, scene: Scene, rows: int) -> RenderableType:
    columns = len(scene.picture[0]) if scene.picture else 0
    answer = _answer(view.latest, scene.width - columns - 8)
    if not scene.picture:
        return _panel(answer, "the picture is", rows)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(_photograph(scene.picture), answer)
    return _panel(grid, "the picture is", rows)


def _photograph(cells: Sequence[Sequence[Cell]]) -> Text:
    text = Text(no_wrap=True)
    for number, row in enumerate(cells):
        if number:
            text.append("\n")
        for upper, lower in row:
            text.append("▀", style=f"rgb({upper[0]},{upper[1]},{upper[2]}) on rgb({lower[0]},{lower[1]},{lower[2]})")
    return text


def _answer(result: Result | None, width: int) -> RenderableType:
    if result is None:
        return Text("Waiting for something to move.", style="dim")
    colour = _CAUSES[result.cause]
    lines: list[RenderableType] = []
    if result.answer is not None:
        head = Text(_spoken(result.answer.label).upper(), style=f"bold {colour}", no_wrap=True, overflow="ellipsis")
        if name := result.tags.get("name"):
            head.append(f"  {name}", style="dim")
        lines += [head]
        lines += [_top_bar(output, number == 0, width) for number, output in enumerate(result.answer.outputs[:3])]
        who = f"says {result.answer.model} {result.answer.version}"
    else:
        label = result.default.label if result.default else "?"
        lines += [Text(f"{_spoken(label)} (default: no model answered in time)", style=colour)]
        who = "says the schedule, not a model"
    share = 100 * result.elapsed_ms / result.sla_ms
    lines += [
        Text(),
        Text.assemble((result.cause, colour), f", {who}"),
        Text(f"{result.elapsed_ms:.0f} ms of {result.sla_ms} allowed ({share:.0f} %)"),
    ]
    return Group(*lines)


def _top_bar(output: Output, best: bool, width: int) -> Text:
    room = max(8, width - 26)
    style = "bold" if best else "dim"
    bar = _bar(min(1.0, max(0.0, output.score)) * room)  # a model may score as it likes
    return Text.assemble(
        (f"{_spoken(output.label):<17.17}", style),
        (f"{bar:<{room}}", "green" if best else "blue"),
        f" {output.score:5.3f}",
    )


def _race(view: ViewModel, width: int, rows: int) -> RenderableType:
    result = view.latest
    room = max(20, width - 50)
    if result is None:
        return _panel(Text("No race yet.", style="dim"), "the race", rows)
    official = result.answer.model if result.answer else None
    lines = [
        _late_lane(outcome, result, room, view) or _lane(outcome, result, room, chosen=outcome.model == official)
        for outcome in _in_order(result.models, view)
    ]
    lines.append(_axis(view, result, room))
    return _panel(Group(*lines), f"the race: who answered when, 0 to {result.sla_ms} ms", rows)


def _in_order(outcomes: list[ModelOutcome], view: ViewModel) -> list[ModelOutcome]:
    """By the schedule's preference, those it ignores last."""
    named = view.schedule.named if view.schedule else ()
    rank = {model: place for place, model in enumerate(named)}
    return sorted(outcomes, key=lambda one: (one.ignored, rank.get(one.model, len(rank)), one.model))


def _lane(outcome: ModelOutcome, result: Result, room: int, *, chosen: bool) -> Text:
    took = outcome.elapsed_ms if outcome.elapsed_ms is not None else result.elapsed_ms
    length = max(0.25, min(1.0, took / result.sla_ms) * room)
    if outcome.status == "answered":
        style = _CAUSES[result.cause] if chosen else "magenta" if outcome.ignored else "blue"
        bar = _bar(length)
        said = f"{took:5.0f} ms {_spoken(outcome.label or '')} {outcome.score or 0:.2f}"
    else:
        style = "dim red" if outcome.status == "gone" else "dim"
        bar = "·" * max(1, int(length))
        said = {"declined": f"declined: {outcome.reason}", "pending": "not yet", "gone": "gone"}[outcome.status]
    mark = "★" if chosen else "∅" if outcome.ignored else " "
    return Text.assemble(
        (f"{mark} {outcome.model:<12.12}", "bold" if chosen else ""),
        (f"{bar:<{room}}", style),
        (f" {said}", "bold" if chosen else "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _late_lane(outcome: ModelOutcome, result: Result, room: int, view: ViewModel) -> Text | None:
    """The lane of a model that was not there when it was decided, and is now."""
    arrival = view.arrival(result, outcome.model) if outcome.status == "pending" else None
    if arrival is None:
        return None
    took, score = arrival
    bar = _bar(max(0.25, min(1.0, took / result.sla_ms) * room))
    best = score.outputs[0]
    return Text.assemble(
        f"{'∅' if outcome.ignored else ' '} {outcome.model:<12.12}",
        (f"{bar:<{room}}", "magenta" if outcome.ignored else "dim blue"),
        (f" {took:5.0f} ms {_spoken(best.label)} {best.score:.2f}", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _axis(view: ViewModel, result: Result, room: int) -> Text:
    """▲ when it was decided; ┼ where the schedule lets others in, ╪ where it gives the default."""

    def cell(ms: float) -> int:
        return min(room - 1, int(ms * room / result.sla_ms))

    marks = {0: "├", room - 1: "┤"}
    legend = ""
    if view.schedule is not None:
        steps = [step.after_ms for step in view.schedule.steps if step.after_ms]
        default = view.schedule.default.after_ms
        marks |= {cell(ms): "┼" for ms in steps} | {cell(default): "╪"}
        legend = f" ┼ {' '.join(map(str, steps))} ╪ {default}"
    line = [marks.get(at, "─") for at in range(room)]
    decided, colour = cell(result.elapsed_ms), _CAUSES[result.cause]
    return Text.assemble(
        " " * 14,
        ("".join(line[:decided]), "dim"),
        ("▲", colour),
        ("".join(line[decided + 1 :]), "dim"),
        (f" ▲ {result.elapsed_ms:.0f}", colour),
        (legend, "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _models(view: ViewModel, rows: int) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for name in ("model", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("answers", "official", "late", "declined"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, lane in _by_rank(view):
        state = Text(lane.state, style=_STATES.get(lane.state, "yellow"))
        official = Text("never", style="dim") if lane.ignored else Text(str(lane.official))
        table.add_row(name, state, str(lane.answered), official, str(lane.late), str(lane.declined))
    return _panel(table, "models", rows)


def _by_rank(view: ViewModel) -> list[tuple[str, ModelView]]:
    rank = {model: place for place, model in enumerate(view.schedule.named)} if view.schedule else {}
    return sorted(view.models.items(), key=lambda item: (item[1].ignored, rank.get(item[0], len(rank)), item[0]))


def _numbers(view: ViewModel, rows: int) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    attainment = view.sla_attainment
    kept = Text(
        "–" if attainment is None else f"{100 * attainment:.1f} %", style="bold green" if attainment == 1 else "bold"
    )
    table.add_row("within the SLA", Text.assemble(kept, f"  of {view.answered} answers"))
    table.add_row("archived", f"{view.archived} of {view.requests} requests")
    table.add_row("by cause", _shares(view))
    if view.unreadable:  # somebody misbehaves: worth the line of the sightings
        table.add_row("unreadable", Text(f"{view.unreadable} messages", style="red"))
    else:
        table.add_row("alerts", "1 sighting" if view.sightings == 1 else f"{view.sightings} sightings")
    return _panel(table, "the promise", rows)


def _shares(view: ViewModel) -> Text:
    text = Text()
    for cause, style in _CAUSES.items():
        if count := view.causes[cause]:
            text.append(f"{cause} {100 * count / view.answered:.0f} %  ", style=style)
    return text or Text("–")


def _alerts(view: ViewModel, rows: int) -> RenderableType:
    latest = list(view.alerts)[-rows:]
    body = Text("\n").join([_alert(one) for one in latest]) if latest else Text("None yet.", style="dim")
    return _panel(body, "alerts", rows)


def _alert(alert: Alert) -> Text:
    at = datetime.fromtimestamp(alert.timestamp / 1000, tz=UTC).astimezone().strftime("%H:%M:%S")
    score = f" {alert.score:.2f}" if alert.score is not None else ""
    results = "1 result" if alert.requests == 1 else f"{alert.requests} results"
    return Text.assemble(
        (f"{at}  ", "dim"),
        (f"{alert.type:<7}", _ALERTS[alert.type]),
        f"{_spoken(alert.label)}{score} on {alert.camera}, {results}",
        no_wrap=True,
        overflow="ellipsis",
    )


def _bar(length: float) -> str:
    """A bar of so many cells, to an eighth of one."""
    eighths = max(1, round(length * 8)) if length > 0 else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _spoken(label: str) -> str:
    return label.replace("_", " ")
