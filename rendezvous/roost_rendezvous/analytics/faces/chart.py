"""A plot as inline SVG that is as wide as the screen, with words as large as words. Pure.

Lines and areas are drawn in a box that is stretched; dots, marks and texts have their places in per cent and are not:
so a plot is readable on a phone and on a desk, in the light and in the dark (colours are those of `plots.css`).
Nothing is drawn by a script or an inline style, so the strictest content security policy lets it stand.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from roost_rendezvous.analytics.faces.axes import Axis, Tick
from roost_rendezvous.analytics.faces.markup import Html, el, joined

Point: TypeAlias = tuple[float, float]
Look: TypeAlias = Literal["now", "normal", "band", "band-wide", "slow", "bad", "good", "mark", "open", "closed"]
"""What a line, an area or a dot means; `plots.css` has its colour."""

_BOX = 1000
_GUTTER = 54
_MOST_POINTS = 2_000
"""More are thinned: no screen has more columns."""


class Chart:
    """Things on two axes. Draw what is behind first."""

    def __init__(self, x: Axis, y: Axis, *, height: int = 220, x_title: str = "", y_title: str = "") -> None:
        self._x, self._y = x, y
        self._height = height
        self._titles = x_title, y_title
        self._stretched: list[Html] = []
        self._placed: list[Html] = []
        self._keys: list[Html] = []
        self._numbers = 0

    def line(self, points: Iterable[Point], look: Look, said: str = "") -> None:
        """Through all points; with `said` it stands in the legend."""
        found = self._places(points)
        if len(found) == 1:
            self.dots(points, look)
        elif found:
            self._stretched.append(el("path", d=_path(found), class_=f"line {look}"))
        self._key(look, said, "line")

    def area(self, lower: Sequence[Point], upper: Sequence[Point], look: Look, said: str = "") -> None:
        """Between two lines."""
        there, back = self._places(upper), self._places(lower)[::-1]
        if len(there) > 1:
            self._stretched.append(el("path", d=_path([*there, *back]) + "Z", class_=f"area {look}"))
        self._key(look, said, "area")

    def steps(self, edges: Sequence[float], counts: Sequence[float], look: Look, said: str = "") -> None:
        """A histogram's outline, filled down to the axis: `counts[i]` between `edges[i]` and `edges[i + 1]`."""
        points = [
            (self._x.at(edge), self._y.at(count))
            for nth, count in enumerate(counts)
            for edge in (edges[nth], edges[nth + 1])
        ]
        if points:
            whole = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)]
            self._stretched.append(el("path", d=_path(whole) + "Z", class_=f"area {look}"))
            self._stretched.append(el("path", d=_path(points), class_=f"line {look}"))
        self._key(look, said, "area")

    def dots(self, points: Iterable[Point], look: Look, said: str = "") -> None:
        """One circle each."""
        self._placed += [
            el("circle", cx=_percent(x), cy=_percent(1 - y), r="3", class_=f"dot {look}")
            for x, y in self._places(points)
        ]
        self._key(look, said, "dot")

    def span(self, start: float, end: float, look: Look, *, row: float = 0.5, thick: int = 12, said: str = "") -> None:
        """A bar from one x to another; `row` is its height in the plot, from 0 (bottom) to 1. `said` is its tooltip."""
        first, last = self._x.at(start), self._x.at(end)
        width = max(0.006, last - first)
        top = (1 - row) * self._height - thick / 2
        self._placed.append(
            el(
                "rect",
                el("title", said) if said else None,
                x=_percent(min(first, 1 - width)),
                y=f"{top:.1f}",
                width=_percent(width),
                height=thick,
                rx=3,
                class_=f"span {look}",
            )
        )

    def word(self, x: float, row: float, said: str, *, end: bool = False) -> None:
        """A short text in the plot, beginning (or with `end` ending) at x."""
        self._placed.append(
            el(
                "text",
                said,
                x=_percent(self._x.at(x)),
                y=f"{(1 - row) * self._height + 4:.1f}",
                text_anchor="end" if end else "start",
                class_="word",
            )
        )

    def mark(self, x: float, said: str, look: Look = "mark", *, row: float = 0.94) -> None:
        """A vertical line with a word at its top: a threshold, a moment."""
        place = self._x.at(x)
        at = _percent(place)
        self._placed.append(el("line", x1=at, x2=at, y1="0", y2="100%", class_=f"upright {look}"))
        if said:
            right = place > 0.6
            self._placed.append(
                el(
                    "text",
                    said,
                    x=at,
                    dx=-5 if right else 5,
                    y=f"{(1 - row) * self._height + 4:.1f}",
                    text_anchor="end" if right else "start",
                    class_=f"word {look}",
                )
            )

    def number(self, x: float, said: str) -> None:
        """A vertical line with a number on its top; what it means stands in the legend, where there is room for it."""
        self._numbers += 1
        at, name = _percent(self._x.at(x)), str(self._numbers)
        self._placed += [
            el("line", x1=at, x2=at, y1="0", y2="100%", class_="upright mark"),
            el("circle", cx=at, cy="0", r="8", class_="knob"),
            el("text", name, x=at, y="4", text_anchor="middle", class_="knob"),
        ]
        self._keys.append(el("span", el("b", name, class_="knob"), " ", said))

    def level(self, y: float, said: str, look: Look = "mark") -> None:
        """A horizontal line with a word."""
        at = _percent(1 - self._y.at(y))
        self._placed.append(el("line", y1=at, y2=at, x1="0", x2="100%", class_=f"upright {look}"))
        if said:
            self._placed.append(el("text", said, x="100%", y=at, dy=-4, text_anchor="end", class_=f"word {look}"))

    def drawn(self, title: str, explained: str) -> Html:
        """The whole figure: what to see, how to read it, the plot, its legend."""
        grid = [
            el("line", x1=_percent(tick.place), x2=_percent(tick.place), y1="0", y2="100%", class_="grid")
            for tick in self._x.ticks()
        ]
        grid += [
            el("line", y1=_percent(1 - tick.place), y2=_percent(1 - tick.place), x1="0", x2="100%", class_="grid")
            for tick in self._y.ticks()
        ]
        box = el("svg", self._stretched, viewBox=f"0 0 {_BOX} {_BOX}", preserveAspectRatio="none", class_="box")
        area = el(
            "svg",
            grid,
            box,
            self._placed,
            width="100%",
            height=self._height,
            role="img",
            aria_label=title,
            class_="area",
        )
        y_name = el("p", self._titles[1], class_="y-name") if self._titles[1] else None
        x_name = el("p", self._titles[0], class_="x-name") if self._titles[0] else None
        if self._y.ticks():
            plot = el("div", self._upright_texts(), area, el("span"), self._lying_texts(), class_="chart")
        else:
            plot = el("div", area, self._lying_texts(), class_="chart bare")
        legend = el("p", self._keys, class_="legend") if self._keys else None
        return figure(title, explained, y_name, plot, x_name, legend)

    def _upright_texts(self) -> Html:
        texts = [
            el("text", tick.text, x=_GUTTER - 6, y=f"{(1 - tick.place) * self._height + 4:.1f}", text_anchor="end")
            for tick in _apart(self._y.ticks(), 16 / self._height)
        ]
        return el("svg", texts, width=_GUTTER, height=self._height, aria_hidden="true", class_="texts")

    def _lying_texts(self) -> Html:
        ticks = _apart(self._x.ticks(), 0.12)
        texts = [
            el(
                "text",
                tick.text,
                x=_percent(tick.place),
                y="14",
                text_anchor="start" if tick.place < 0.04 else "end" if tick.place > 0.96 else "middle",
                class_="minor" if nth % 2 and len(ticks) > 4 else None,  # no room for all of them on a phone
            )
            for nth, tick in enumerate(ticks)
        ]
        return el("svg", texts, width="100%", height="18", aria_hidden="true", class_="texts")

    def _places(self, points: Iterable[Point]) -> list[Point]:
        found = [(self._x.at(x), self._y.at(y)) for x, y in points]
        if len(found) <= _MOST_POINTS:
            return found
        every = -(-len(found) // _MOST_POINTS)
        return [*found[::every], found[-1]]

    def _key(self, look: Look, said: str, kind: str) -> None:
        if said:
            self._keys.append(key(look, said, kind))


def figure(title: str, explained: str, *drawn: Html | None) -> Html:
    """A picture below what is to be seen in it and how to read it."""
    words = el("figcaption", el("strong", title), " ", el("span", explained))
    return el("figure", words, [one for one in drawn if one is not None], class_="plot")


def key(look: str, said: str, kind: str = "area") -> Html:
    """One entry of a legend."""
    shape = (
        el("circle", cx="8", cy="7", r="4", class_=f"dot {look}")
        if kind == "dot"
        else el("path", d="M0 7H16", class_=f"line {look}")
        if kind == "line"
        else el("rect", x="0", y="2", width="16", height="10", rx="2", class_=f"{kind} {look}")
    )
    return el("span", el("svg", shape, width="16", height="14", aria_hidden="true"), " ", said)


def legend(*keys: Html) -> Html:
    """What the colours of several plots mean."""
    return el("p", joined(*keys), class_="legend")


def _apart(ticks: Sequence[Tick], least: float) -> list[Tick]:
    """Those that do not stand too close to the one before."""
    found: list[Tick] = []
    for tick in ticks:
        if not found or tick.place - found[-1].place >= least:
            found.append(tick)
    return found


def _path(places: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x * _BOX:.1f} {(1 - y) * _BOX:.1f}" for x, y in places)


def _percent(place: float) -> str:
    return f"{100 * place:.2f}%"
