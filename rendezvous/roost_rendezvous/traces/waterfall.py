"""A trace as text: one line per step on one time axis, the answer as a vertical mark. Pure.

    █ work   ░ waiting   ▒ work after the answer: nobody waited for it   │ the official answer

The figure is that of the book's chapter 7 (figure 7-6): which model answered, which ran on, and by how long.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from itertools import groupby

from roost_broker.messages import Result
from roost_broker.printable import printable
from roost_rendezvous.traces.knit import COMPUTES, WAITS, Bar, Knit, Part

WORK, WAITING, RAN_ON, MARK, BREAK = "█", "░", "▒", "│", "⫽"
_LEAST_WIDTH = 60
_DURATION = 9
_TICK_CELLS = 12
_LONG_TAIL = 3
"""The axis is broken when the whole is so many times as long as the time to the answer; it then shows …"""
_BEFORE_BREAK = 1.25
"""… so many times that time before the break, on …"""
_SHARE_BEFORE = 0.7
"""… this share of the width."""


@dataclass(frozen=True, slots=True)
class Style:
    """Colours of a terminal, as the codes that switch them on."""

    bold: str = ""
    dim: str = ""
    good: str = ""
    warn: str = ""
    off: str = ""


PLAIN = Style()
COLOURS = Style(bold="\x1b[1m", dim="\x1b[2m", good="\x1b[32m", warn="\x1b[33m", off="\x1b[0m")


def render(whole: Knit, *, width: int, task: str = "", style: Style = PLAIN, zone: tzinfo | None = UTC) -> str:
    """The whole picture, `width` characters wide (at least 60)."""
    whole = _printable(whole)
    lines = [*_head(whole, task, style, zone), ""]
    if whole.bars:
        chart = _Chart(whole, max(width, _LEAST_WIDTH), style)
        lines += [*chart.lines(), "", style.dim + _legend(whole, broken=chart.broken) + style.off]
    lines += _sentences(whole, style)
    return "\n".join(lines)


def outcome(result: Result | None) -> str:
    """The answer in a few words."""
    if result is None:
        return "no answer seen"
    if result.answer is None:
        said = result.default
        return printable(f"default {said.label}") if said is not None else "default"
    answer = result.answer
    said_by = f"by {answer.model} {answer.version} ({result.cause})"
    return printable(f"{answer.label} {answer.score:.2f} {said_by}".replace("  ", " "))


def duration(ns: int) -> str:
    """A time as people read it: 0.05 ms, 12.3 ms, 1.25 s."""
    ms = ns / 1e6
    if ms < 1:
        return f"{ms:.2f} ms"
    if ms < 100:
        return f"{ms:.1f} ms"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def moment(wall_ns: int, zone: tzinfo | None) -> str:
    """A wall clock time to the millisecond."""
    try:
        return datetime.fromtimestamp(wall_ns / 1e9, zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return "no date"  # somebody's clock, or invention


def _head(whole: Knit, task: str, style: Style, zone: tzinfo | None) -> list[str]:
    first = [f"request {whole.request_id}", task, moment(whole.began_wall_ns, zone)]
    answered = "" if whole.answered_ns is None else f", {duration(whole.answered_ns)} after it began"
    result = whole.result
    colour = style.warn if result is None or result.answer is None else style.good
    said = f"{colour}{style.bold}{outcome(result)}{style.off}{answered}"
    if result is not None and result.default is not None and result.default.reason:
        said += f": {printable(result.default.reason)}"
    return [" · ".join(part for part in first if part), said]


def _printable(whole: Knit) -> Knit:
    """The same in characters that a terminal shows: what was said came over the wire, from whomever."""
    bars = (
        replace(
            bar,
            component=printable(bar.component),
            name=printable(bar.name),
            attributes={key: printable(text) for key, text in bar.attributes.items()},
        )
        for bar in whole.bars
    )
    parts = (
        replace(part, model=printable(part.model), reason=printable(part.reason), declined=printable(part.declined))
        for part in whole.parts
    )
    return replace(whole, bars=tuple(bars), parts=tuple(parts))


class _Axis:
    """Where a moment stands. A model that ran on for long would press everything before the answer into one cell, so
    then the axis is broken there: time runs faster behind the break."""

    def __init__(self, whole: Knit, cells: int) -> None:
        self.cells = cells
        self.length_ns = max(1, whole.length_ns)
        answered = whole.answered_ns or 0
        self.broken = answered > 0 and self.length_ns > _LONG_TAIL * answered
        self._knee_ns = round(answered * _BEFORE_BREAK) if self.broken else self.length_ns
        self._knee = round(cells * _SHARE_BEFORE) if self.broken else cells

    def at(self, ns: int) -> float:
        """The place of a moment, from 0 to the number of cells."""
        if ns <= self._knee_ns or not self.broken:
            return ns * self._knee / self._knee_ns
        return self._knee + (ns - self._knee_ns) * (self.cells - self._knee) / (self.length_ns - self._knee_ns)

    def labels(self) -> str:
        """Times, each beginning in its cell."""
        text = self._labels("", 0, self._knee_ns, self._knee)
        if self.broken:
            text = text[: self._knee - 2].ljust(self._knee - 1) + BREAK
            text = self._labels(text, self._knee_ns, self.length_ns, self.cells)
        return f"{text[: self.cells]:<{self.cells}}"

    def _labels(self, text: str, start_ns: int, end_ns: int, last: int) -> str:
        step = _tick(end_ns - start_ns, last - len(text))
        at = -(-start_ns // step) * step
        while (cell := int(self.at(at))) < last - 4 and at <= end_ns:
            if cell > len(text) or not cell:
                text = text.ljust(cell) + _round(at)
            at += step
        return text


class _Chart:
    """Places bars in cells."""

    def __init__(self, whole: Knit, width: int, style: Style) -> None:
        self._whole = whole
        self._style = style
        self._parts = {part.model: part for part in whole.parts}
        self._label_width = min(24, max(len(self._label(bar)) for bar in whole.bars))
        self._step_width = min(14, max(len(_step(bar)) for bar in whole.bars))
        self._cells = max(20, width - self._label_width - self._step_width - _DURATION - 4)
        self._axis = _Axis(whole, self._cells)
        answered = whole.answered_ns
        self._mark = None if answered is None else min(self._cells - 1, int(self._axis.at(answered)))

    @property
    def broken(self) -> bool:
        """Whether time runs faster behind the answer."""
        return self._axis.broken

    def lines(self) -> list[str]:
        """Axis and bars."""
        found = [self._row("", "", f"{self._style.dim}{self._axis.labels()}{self._style.off}", "")]
        for _, bars in groupby(self._whole.bars, key=lambda bar: bar.component):
            found += [self._line(bar, first=nth == 0) for nth, bar in enumerate(bars)]
        return found

    def _label(self, bar: Bar) -> str:
        part = self._parts.get(bar.model)
        star = "★ " if part is not None and part.official else ""
        return star + (bar.model or bar.component)

    def _line(self, bar: Bar, *, first: bool) -> str:
        part = self._parts.get(bar.model)
        label = _cut(self._label(bar), self._label_width) if first else ""
        colour = self._style.bold + self._style.good if part is not None and part.official else self._style.bold
        shown = f"{colour}{label:<{self._label_width}}{self._style.off}"
        taken = ("~" if bar.by_wall else "") + duration(bar.end_ns - bar.start_ns)
        return self._row(shown, _cut(_step(bar), self._step_width), self._paint(bar), taken)

    def _row(self, label: str, step: str, area: str, taken: str) -> str:
        shown = label or " " * self._label_width
        return f"{shown}  {step:<{self._step_width}} {area} {taken:>{_DURATION}}".rstrip()

    def _paint(self, bar: Bar) -> str:
        """The bar's cells. A step too short for a cell still gets one."""
        first = min(self._cells - 1, max(0, int(self._axis.at(bar.start_ns))))
        last = min(self._cells, max(first + 1, round(self._axis.at(bar.end_ns))))
        cells = [" "] * self._cells
        cells[first:last] = [WAITING if bar.name in WAITS else WORK] * (last - first)
        mark, answered = self._mark, self._whole.answered_ns
        if mark is not None and answered is not None:
            if bar.model and bar.name in COMPUTES and bar.end_ns > answered:
                begins = first if bar.start_ns >= answered else mark + 1
                last = max(last, min(begins + 1, self._cells))  # however short: it was after the answer
                cells[begins:last] = [RAN_ON] * (last - begins)
            cells[mark] = MARK
        return "".join(self._coloured(cell, len(list(run))) for cell, run in groupby(cells))

    def _coloured(self, cell: str, count: int) -> str:
        code = {WAITING: self._style.dim, RAN_ON: self._style.warn, MARK: self._style.good}.get(cell, "")
        return f"{code}{cell * count}{self._style.off}" if code else cell * count


def _step(bar: Bar) -> str:
    """A late word says whose."""
    return f"{bar.name} {bar.attributes.get('model', '')}".rstrip() if bar.name == "late" else bar.name


def _tick(length_ns: int, cells: int) -> int:
    """Distance between two labels of the axis: 1, 2 or 5 times a power of ten."""
    least = max(1, length_ns * _TICK_CELLS // max(1, cells))
    power: int = 10 ** (len(str(least)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _round(ns: int) -> str:
    if ns % 1_000_000_000 == 0 and ns:
        return f"{ns // 1_000_000_000} s"
    return f"{ns / 1e6:g} ms"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _legend(whole: Knit, *, broken: bool) -> str:
    said = [f"{WORK} work", f"{WAITING} waiting"]
    if any(part.ran_on_ns for part in whole.parts):
        said.append(f"{RAN_ON} work after the answer")
    if whole.answered_ns is not None:
        said.append(f"{MARK} the answer")
    if any(part.official for part in whole.parts):
        said.append("★ the official model")
    if broken:
        said.append(f"{BREAK} time runs faster from here")
    if any(bar.by_wall for bar in whole.bars):
        said.append("~ another boot, placed by the wall clock")
    return "   ".join(said)


# -- in words --------------------------------------------------------------------------------------------------------


def _sentences(whole: Knit, style: Style) -> list[str]:
    said = [text for part in whole.parts for text in _of_part(part, whole, style)]
    told = {bar.component for bar in whole.bars}
    if whole.bars and "rendezvous" not in told:
        said.append("The rendezvous told nothing of this request.")
    return said


def _of_part(part: Part, whole: Knit, style: Style) -> list[str]:
    said = []
    silent = not part.ran_on_ns and not any(bar.model == part.model for bar in whole.bars)
    if part.ran_on_ns:
        estimate = "about " if part.estimated else ""
        together = f", with {part.batch - 1} more requests" if part.batch > 1 else ""
        said.append(
            f"{style.warn}{part.model} ran on for {estimate}{duration(part.ran_on_ns)} after the answer{together}."
            f"{style.off}"
        )
    reason = f": {part.reason}" if part.reason else ""
    if part.status == "declined":
        said.append(f"{part.model} declined{reason}.")
    elif part.status == "gone":
        said.append(f"{part.model} was gone{reason}.")
    elif part.status == "pending" and silent:
        said.append(f"Nothing from {part.model} had arrived when the answer was given{reason}.")
    elif part.declined and part.status != "answered":
        said.append(f"{part.model} declined after the answer: {part.declined}.")
    if part.ignored:
        said.append(f"{part.model} is ignored by the schedule.")
    return said
