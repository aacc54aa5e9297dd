"""A report for a terminal: sparklines, histograms of blocks, tables. Pure; text from elsewhere is made printable.

Blocks only (`▁▂▃▄▅▆▇█`): they are in every monospaced font, and in a pipe they stay what they are.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from roost_broker.printable import printable
from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.faces.axes import milliseconds, per_cent, plain
from roost_rendezvous.analytics.faces.slow import bars
from roost_rendezvous.analytics.faces.standing import SIDES, figure_of, how_strange, of_side, rest, too_little_history
from roost_rendezvous.analytics.faces.values import Bands, Histogram, Rates, Report, TaskReport

BLOCKS = " ▁▂▃▄▅▆▇█"
_LEAST_WIDTH = 60
_LABEL = 26
_MOST_READINGS = 12
_MOST_MODELS = 20


def render(report: Report, *, width: int = 100, zone: tzinfo | None = None) -> str:
    """The whole report, `width` characters wide (at least 60)."""
    width = max(width, _LEAST_WIDTH)
    lines = [f"{report.source} · {telling.span(report, zone)}", *telling.noted(report, zone), ""]
    lines += _alarms(report, zone)
    for one in report.tasks:
        lines += [*_task(one, report, width, zone), ""]
    for title, said in telling.beside(report):
        lines += [title, *(f"  {line}" for line in said), ""]
    lines += standing_lines(report.standing)
    lines += [f"{mark.text}: {telling.moment(mark.at, zone)}" for mark in report.marks]
    lines += [f"left out: {count:,} {what}" for what, count in report.left_out.items()]
    return "\n".join(printable(line).rstrip() for line in lines).rstrip()


def spark(values: Sequence[float | None], width: int, *, low: float | None = None, high: float | None = None) -> str:
    """A line of blocks, at most `width`; neighbours are averaged where there are more values. None is a gap."""
    shown = _squeezed(values, width)
    known = [one for one in shown if one is not None]
    if not known:
        return ""
    bottom, top = min(known) if low is None else low, max(known) if high is None else high
    return "".join(" " if one is None else _block(one, bottom, top) for one in shown)


def _block(value: float, bottom: float, top: float) -> str:
    if top <= bottom:
        return BLOCKS[4]
    return BLOCKS[1 + min(7, max(0, math.floor((value - bottom) / (top - bottom) * 8)))]


def upright(found: Histogram, width: int, *, rows: int = 5) -> list[str]:
    """A histogram with a logarithmic height and width; the axis below it."""
    merged = list(_squeezed_sum([one.held for one in bars(found)], width - _LABEL))
    most = max(merged, default=0.0)
    if most <= 0:
        return []
    top = math.log10(max(most, 10.0)) + math.log10(2)
    lines = []
    for row in range(rows, 0, -1):
        low, high = top * (row - 1) / rows, top * row / rows
        cells = [_cell(math.log10(2 * count) if count >= 0.5 else 0.0, low, high) for count in merged]
        name = plain(round(10**high / 2)) if row in (rows, (rows + 1) // 2, 1) else ""
        lines.append(f"{name:>{_LABEL - 2}}  {''.join(cells)}".rstrip())
    first, last = milliseconds(found.edges[0]), milliseconds(found.edges[-1])
    middle = milliseconds(math.sqrt(found.edges[0] * found.edges[-1]))
    room = max(0, len(merged) - len(first) - len(last))
    between = f"{middle:^{room}}" if room > len(middle) + 1 else " " * max(1, room)
    lines.append(" " * _LABEL + first + between + last)
    return lines


def _cell(value: float, low: float, high: float) -> str:
    return BLOCKS[round(8 * min(1.0, max(0.0, (value - low) / (high - low))))]


def _task(task: TaskReport, report: Report, width: int, zone: tzinfo | None) -> Iterator[str]:
    yield f"── {task.task or 'requests'} " + "─" * max(0, width - len(task.task or "requests") - 4)
    yield telling.service(task.service)
    if task.service.causes:
        yield f"  {telling.causes(task.service)}"
    if task.trend is not None:
        yield telling.trend(task.trend)
    cells = width - _LABEL - 14
    yield _rates_line(task.rates, cells)
    for rates in task.label_rates:
        yield _rates_line(rates, cells)
    for bands in task.scores:
        yield _bands_line(bands, cells)
    if task.latency is not None:
        yield ""
        group, fresh = telling.slow(task)
        shown = task.second_half if fresh and task.second_half is not None else task.latency
        yield "How long answers took (both ways logarithmic: a second hill is a group with a trouble of its own)"
        yield from upright(shown, width)
        if group is not None:
            new = ", not so in the first half of the time" if fresh else ""
            yield f"  {per_cent(group.share)} are about {group.times:.2g} times as slow as the rest{new}."
    if task.models:
        yield ""
        yield from _models(task)


def _rates_line(rates: Rates, cells: int) -> str:
    seen = [one.seen for one in rates.periods]
    outside = [one for one in rates.periods if one.outside]
    said = f"{plain(sum(seen))}" + (f", {len(outside)} odd" if outside else "")
    return f"{_name(rates.name)}  {spark(seen, cells, low=0.0)}  {said}"


def _bands_line(bands: Bands, cells: int) -> str:
    middles = [one.half for one in bands.periods]
    ends = (0.0, 1.0) if all(0 <= one <= 1 for one in middles) else (None, None)
    said = f"{plain(middles[0])} → {plain(middles[-1])}" if middles else ""
    return f"{_name(bands.name)}  {spark(middles, cells, low=ends[0], high=ends[1])}  {said}"


def _name(text: str) -> str:
    return f"{text if len(text) <= _LABEL - 2 else text[: _LABEL - 3] + '…':<{_LABEL - 2}}"


def _models(task: TaskReport) -> Iterator[str]:
    heads = (*telling.MODEL_HEADS, "room")
    rows = [heads, *((*telling.model_line(one), telling.room(one)) for one in task.models[:_MOST_MODELS])]
    kept = [nth for nth in range(len(heads)) if nth == 0 or any(row[nth] for row in rows[1:])]
    widths = {nth: max(len(row[nth]) for row in rows) for nth in kept}
    for row in rows:
        yield "  ".join(f"{row[nth]:<{widths[nth]}}" for nth in kept)
    if len(task.models) > _MOST_MODELS:
        yield f"… and {len(task.models) - _MOST_MODELS} more models."
    yield from telling.models_explained(task.models[:_MOST_MODELS])


def _alarms(report: Report, zone: tzinfo | None) -> Iterator[str]:
    for one in report.alarms:
        first, *rest = telling.episode(one, zone)
        yield first
        yield from (f"  {line}" for line in rest)
        yield ""


def standing_lines(found: Sequence[SignalStanding], most: int = _MOST_READINGS) -> Iterator[str]:
    """Everything that is watched, the strangest first."""
    for side, title in SIDES.items():
        shown = of_side(found, side)
        if not shown:
            continue
        yield title
        learning = [one for one in shown if one.watch == "not-enough-history"]
        known = [one for one in shown if one.watch != "not-enough-history"]
        for one in known[:most]:
            now, normal = figure_of(one.now, one.unit), figure_of(one.normal, one.unit)
            figures = f"now {now or '?'}, normal {normal or '?'}: " if now or normal else ""
            yield f"  {one.signal}: {figures}{how_strange(one)}"
        yield from (f"  {line}" for line in rest(known, most))
        if learning:  # a line for each would hide the others
            yield f"  {too_little_history(learning, len(shown))}"
        yield ""


def _squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    found: list[float | None] = []
    for nth in range(width):
        part = [one for one in values[nth * len(values) // width : (nth + 1) * len(values) // width] if one is not None]
        found.append(sum(part) / len(part) if part else None)
    return found


def _squeezed_sum(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        every = max(1, width // max(1, len(values)))
        return [one for one in values for _ in range(min(every, 3))]
    return [sum(values[nth * len(values) // width : (nth + 1) * len(values) // width]) for nth in range(width)]
