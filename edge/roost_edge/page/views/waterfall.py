"""A request as a waterfall: every step of every component on one time axis, the answer as a line through it. Pure.

Each row is a drawing of its own without a view box, its places in per cent: so the bars are as wide as the screen and
the words as large as words. The scale is that of the terminal's picture (`roost trace`), the broken axis included.
"""

from collections.abc import Iterator
from itertools import groupby

from roost_edge.page.views.markup import Child, Html, badge, cut, el, joined
from roost_rendezvous.traces.knit import COMPUTES, WAITS, Bar, Knit, Part
from roost_rendezvous.traces.waterfall import duration, outcome

_LONG_TAIL = 3
_BEFORE_BREAK, _SHARE_BEFORE = 1.25, 70.0
_LEAST = 0.4
"""Per cent: a step that took no time is still to be seen."""
_MOST_TICKS = 8


class Axis:
    """Where a moment stands, in per cent. Behind the answer of a race with a long tail time runs faster."""

    def __init__(self, whole: Knit) -> None:
        self.length_ns = max(1, whole.length_ns)
        answered = whole.answered_ns or 0
        self.broken = answered > 0 and self.length_ns > _LONG_TAIL * answered
        self._knee_ns = round(answered * _BEFORE_BREAK) if self.broken else self.length_ns
        self._knee = _SHARE_BEFORE if self.broken else 100.0

    def at(self, ns: int) -> float:
        """From 0 to 100."""
        if ns <= self._knee_ns or not self.broken:
            return min(100.0, max(0.0, ns * self._knee / self._knee_ns))
        behind = (ns - self._knee_ns) * (100.0 - self._knee) / (self.length_ns - self._knee_ns)
        return min(100.0, self._knee + behind)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Places with their times."""
        step = _round_step(self._knee_ns)
        for nth in range(_MOST_TICKS):
            if nth * step < 0.95 * self._knee_ns:
                yield self.at(nth * step), _plain(nth * step)
        if self.broken:
            yield self._knee, f"{duration(self._knee_ns)} ⫽"
            yield 100.0, duration(self.length_ns)


def _round_step(length_ns: int) -> int:
    """Between two ticks: 1, 2 or 5 times a power of ten, four of them or a few more in the whole."""
    least = max(1, length_ns // 5)
    power: int = 10 ** (len(str(least)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _plain(ns: int) -> str:
    """A round time, as short as it is."""
    return f"{ns / 1e9:g} s" if ns >= 1_000_000_000 else f"{ns / 1e6:g} ms" if ns else "0"


def waterfall(whole: Knit) -> Html:
    """The whole picture."""
    if not whole.bars:
        return el("p", "Its outcome is known, its steps are not: it was not traced.", class_="none")
    axis = Axis(whole)
    parts = {part.model: part for part in whole.parts}
    rows = [
        el(
            "div",
            _name(component, parts),
            el("div", (_step(bar, whole, axis) for bar in bars), class_="steps"),
            class_="lane",
        )
        for component, bars in groupby(whole.bars, key=lambda bar: bar.component)
    ]
    return el("div", _axis(axis), rows, _legend(whole, axis), class_="waterfall")


def sentences(whole: Knit) -> Html:
    """What became of each model, in words."""
    said = [text for part in whole.parts for text in _of_part(part)]
    return el("ul", (el("li", text) for text in said)) if said else el("p", "No model was asked.", class_="none")


def headline(whole: Knit) -> Html:
    """The outcome in a line."""
    result = whole.result
    after = f", {duration(whole.answered_ns)} after it began" if whole.answered_ns is not None else ""
    good = result is not None and result.answer is not None
    return el(
        "p",
        badge("good" if good else "bad", result.cause if result else "open"),
        " ",
        el("strong", cut(outcome(result), 120)),
        after,
    )


def _name(component: str, parts: dict[str, Part]) -> Html:
    model = component.removeprefix("model ") if component.startswith("model ") else ""
    part = parts.get(model)
    star = "★ " if part is not None and part.official else ""
    return el("div", f"{star}{cut(model or component, 40)}", class_="who official" if star else "who")


def _step(bar: Bar, whole: Knit, axis: Axis) -> Html:
    taken = ("~" if bar.by_wall else "") + duration(bar.end_ns - bar.start_ns)
    name = f"{bar.name} {bar.attributes.get('model', '')}".rstrip() if bar.name == "late" else bar.name
    drawing = el("svg", _rects(bar, whole, axis), width="100%", height="14", role="img", aria_label=f"{name}: {taken}")
    return el("div", el("span", cut(name, 24), class_="what"), drawing, el("span", taken, class_="took"), class_="step")


def _rects(bar: Bar, whole: Knit, axis: Axis) -> list[Child]:
    first, last = axis.at(bar.start_ns), axis.at(bar.end_ns)
    kind = "waits" if bar.name in WAITS else "works"
    answered = whole.answered_ns
    found: list[Child] = [_rect(first, last, kind)]
    if answered is not None:
        if bar.model and bar.name in COMPUTES and bar.end_ns > answered:
            found.append(_rect(max(first, axis.at(answered)), last, "ran-on"))
        at = f"{axis.at(answered):.2f}%"
        found.append(el("line", x1=at, x2=at, y1="-2", y2="16", class_="answer"))
    return found


def _rect(first: float, last: float, kind: str) -> Html:
    width = max(_LEAST, last - first)
    return el(
        "rect", x=f"{min(first, 100 - width):.2f}%", width=f"{width:.2f}%", y="2", height="10", rx="2", class_=kind
    )


def _axis(axis: Axis) -> Html:
    texts = (
        el(
            "text",
            text,
            x=f"{place:.2f}%",
            y="12",
            text_anchor="end" if place > 95 else "start",
            class_="minor" if nth % 2 and place < 70 else None,  # there is no room for all of them on a phone
        )
        for nth, (place, text) in enumerate(axis.ticks())
    )
    drawing = el("svg", texts, width="100%", height="16", aria_hidden="true")
    step = el("div", el("span", "", class_="what"), drawing, el("span", "", class_="took"), class_="step")
    return el("div", el("div", "", class_="who"), el("div", step, class_="steps"), class_="lane axis")


def _legend(whole: Knit, axis: Axis) -> Html:
    keys: list[Child] = [_key("works", "work"), _key("waits", "waiting")]
    if any(part.ran_on_ns for part in whole.parts):
        keys.append(_key("ran-on", "work after the answer"))
    if whole.answered_ns is not None:
        keys.append(_key("answer", "the answer"))
    if any(part.official for part in whole.parts):
        keys.append(el("span", "★ the official model"))
    if axis.broken:
        keys.append(el("span", "⫽ time runs faster from here"))
    return el("p", keys, class_="legend")


def _key(kind: str, said: str) -> Html:
    sample = el("svg", el("rect", x="0", y="2", width="14", height="10", rx="2", class_=kind), width="14", height="14")
    return el("span", sample, " ", said)


def _of_part(part: Part) -> Iterator[Html]:
    name, why = el("strong", part.model), f": {part.reason}" if part.reason else ""
    if part.official:
        yield joined(name, f" {part.version} gave the answer.")
    if part.ran_on_ns:
        yield joined(
            name, f" ran on for {'about ' if part.estimated else ''}{duration(part.ran_on_ns)} after the answer."
        )
    if part.status == "declined":
        yield joined(name, f" declined{why}.")
    elif part.status == "gone":
        yield joined(name, f" was gone{why}.")
    elif part.status == "pending" and not part.ran_on_ns:
        yield joined("Nothing from ", name, f" had arrived when the answer was given{why}.")
    elif part.declined and part.status != "answered":
        yield joined(name, f" declined after the answer: {part.declined}.")
    if part.ignored:
        yield joined(name, " is ignored by the schedule: its answer is never official.")
