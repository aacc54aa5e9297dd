"""Rates, distributions over time, alarms and quantiles against each other, each as a figure. Pure."""

from collections.abc import Sequence
from datetime import tzinfo

from roost_rendezvous.analytics.alarms.episode import Episode, Marker
from roost_rendezvous.analytics.faces.axes import NS, Axis, Linear, Tick, Times, per_cent
from roost_rendezvous.analytics.faces.chart import Chart, Look, Point, figure
from roost_rendezvous.analytics.faces.markup import Html, cut, el
from roost_rendezvous.analytics.faces.telling import TIMED
from roost_rendezvous.analytics.faces.values import Band, Bands, Rate, Rates

_MOST_MARKS = 8
_MOST_ROWS = 20
_ROW = 42
_LONE = 0.05
"""Width of a period without neighbours, as a share of the plot's."""
_LOOKS: dict[str, Look] = {"open": "bad", "acknowledged": "open", "ended": "closed"}


def along(start: int, end: int, zone: tzinfo | None) -> Axis:
    """The axis of time; of rows' numbers where a file has no times."""
    if start < TIMED:
        return Linear(start, end, exact=True)
    return Times(start, end, zone)


def rates_plot(
    found: Rates, start: int, end: int, zone: tzinfo | None, *, marks: Sequence[Marker] = (), height: int = 190
) -> Html:
    """Counts by period as steps; behind them the band that history expects."""
    periods = found.periods
    if not periods:
        return figure(f"No {found.name} in this time", "There is nothing to draw.")
    most = max(max(one.seen, one.high or 0.0, one.expected or 0.0) for one in periods)
    chart = Chart(along(start, end, zone), Linear(0.0, most or 1.0, most=4), height=height, y_title=_per(periods[0]))
    predicted = [one for one in periods if one.expected is not None]
    if predicted:
        lower = [(_middle(one), one.low or 0.0) for one in predicted]
        upper = [(_middle(one), one.high if one.high is not None else one.expected or 0.0) for one in predicted]
        chart.area(lower, upper, "band", "what history expects")
        chart.line([(_middle(one), one.expected or 0.0) for one in predicted], "normal")
    chart.line([point for one in periods for point in _step(one)], "now", "seen")
    seen = [one for one in periods if one.seen]
    if len(seen) == 1:  # its step is as wide as one period: nothing on an axis of days
        chart.dots([(_middle(seen[0]), seen[0].seen)], "now", "the only period with any")
    outside = [one for one in predicted if one.outside]
    chart.dots([(_middle(one), one.seen) for one in outside], "bad", "outside the band" if outside else "")
    _mark(chart, marks, start, end)
    return chart.drawn(*_said_of_rates(found.name, predicted, outside))


def _said_of_rates(name: str, predicted: Sequence[Rate], outside: Sequence[Rate]) -> tuple[str, str]:
    if not predicted:
        return (
            f"How many {name} there were",
            "Each step is one period. There is no band: the history is too short, or there are too few events for one.",
        )
    said = f"{len(outside)} of {len(predicted)} hours with {name} lie outside the band of history"
    if not outside:
        said = f"All hours with {name} lie inside the band of history"
    return (
        said,
        "The band is what the hours, days and weeks before let expect, and holds nine of ten hours; so one of ten is "
        "outside by chance. A line that stays outside, always on the same side, is a change.",
    )


def bands_plot(
    found: Bands, start: int, end: int, zone: tzinfo | None, *, marks: Sequence[Marker] = (), height: int = 190
) -> Html:
    """A distribution over time: the middle half as a dark band, most of it as a light one, the median as a line."""
    periods = found.periods
    if not periods:
        return figure(f"No values of {found.name}", "There is nothing to draw.")
    low, high = min(one.low for one in periods), max(one.high for one in periods)
    if low >= 0 and high <= 1 and not found.unit:
        low, high = 0.0, 1.0
    chart = Chart(along(start, end, zone), Linear(low, high, most=4), height=height, y_title=found.unit)
    for run in _runs(found):
        ats = _ats(run, end - start)
        chart.area([(at, one.low) for at, one in ats], [(at, one.high) for at, one in ats], "band-wide")
        chart.area([(at, one.quarter) for at, one in ats], [(at, one.three) for at, one in ats], "band")
        chart.line([(at, one.half) for at, one in ats], "now")
        if len(run) == 1:
            chart.dots([(run[0].at, run[0].half)], "now")
    chart.area([], [], "band-wide", f"{per_cent(found.ends[1] - found.ends[0])} of the values")
    chart.area([], [], "band", "the middle half")
    chart.line([], "now", "the median")
    _mark(chart, marks, start, end)
    return chart.drawn(
        f"{found.name}: where the values lie, period by period",
        "A model that works as it used to keeps the same bands. A jump at one moment is mostly somebody's doing, a "
        "slow drift mostly the world's; a gap is a time without values.",
    )


def _ats(run: Sequence[Band], length: int) -> list[tuple[float, Band]]:
    """Where a run's bands are drawn: a period without neighbours is a narrow upright bar, for a band needs two."""
    if len(run) > 1:
        return [(one.at, one) for one in run]
    half = _LONE * length / 2
    return [(run[0].at - half, run[0]), (run[0].at + half, run[0])]


def _runs(found: Bands) -> list[list[Band]]:
    """Broken where more than two periods are missing."""
    runs: list[list[Band]] = []
    gaps = sorted(right.at - left.at for left, right in zip(found.periods, found.periods[1:], strict=False))
    usual = gaps[len(gaps) // 2] if gaps else 0
    for one in found.periods:
        if not runs or one.at - runs[-1][-1].at > 3 * usual:
            runs.append([])
        runs[-1].append(one)
    return runs


def alarms_plot(
    found: Sequence[Episode], start: int, end: int, zone: tzinfo | None, *, marks: Sequence[Marker] = ()
) -> Html:
    """One bar for each alarm, the newest on top, with what somebody did as upright lines."""
    if not found and not marks:
        return figure("No alarm in this time", "Nothing left its own history further than the budget allows.")
    newest = sorted(found, key=lambda one: one.opened, reverse=True)[:_MOST_ROWS]
    height = max(1, len(newest)) * _ROW + 24
    axis = along(start, end, zone)
    chart = Chart(axis, _Rows(), height=height)
    _mark(chart, marks, start, end)
    for nth, one in enumerate(newest):
        top = 24 + nth * _ROW
        last = one.ended if one.ended is not None else end
        look = _LOOKS[one.state]
        chart.span(one.opened, last, look, row=1 - (top + 24) / height, said=f"{one.id}: {one.headline}")
        right = axis.at(one.opened) > 0.5
        culprit = one.culprit.signal.removeprefix(f"{one.task}/") if one.culprit is not None else "?"
        text = f"{one.verdict} · {cut(culprit, 28)}"
        chart.word(last if right else one.opened, 1 - (top + 8) / height, text, end=right)
    opened = sum(one.state == "open" for one in found)
    title = f"{len(found)} alarm{'s' if len(found) != 1 else ''}, {opened} open" if found else "No alarm in this time"
    return chart.drawn(
        title,
        "A bar is one change, from its first sign to its end: red is open, orange acknowledged, grey past. Its words "
        "are what probably changed (model, world, camera, clock, link) and the signal that moved most. Upright lines "
        "are what somebody did; an alarm that begins at one has its suspect.",
    )


def qq_plot(points: Sequence[Point], *, first: str, second: str, quantiles: bool = False, title: str = "") -> Html:
    """Scores of two models, or of two times, at the same quantiles; on the diagonal both are as often so high.

    Without a `title` it says how far apart they are at most.
    """
    values = [value for point in points for value in point]
    low, high = (0.0, 1.0) if quantiles or not values else (min(values), max(values))
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    chart = Chart(Linear(low, high), Linear(low, high), height=300, x_title=first, y_title=second)
    chart.line([(low, low), (high, high)], "normal", "the same")
    chart.line(points, "now")
    chart.dots(points, "now", "both at the same quantile")
    off = max((abs(x - y) for x, y in points), default=0.0)
    return chart.drawn(
        title or f"{second} beside {first}: at most {off:.2g} apart",
        "Each dot is one share of the requests: so far right as the score of the first there, so high as that of the "
        "second. Dots on the grey line: both give such scores equally often. A bend away from it that keeps rising is "
        "only another calibration; a flat or upright piece with many dots is a difference in substance.",
    )


def bars(found: Sequence[tuple[str, float, str]], *, most: float, look: str = "now") -> Html:
    """Horizontal bars: name, value, and what is written behind."""
    rows = []
    for name, value, said in found:
        width = f"{100 * min(1.0, max(0.0, value / most if most else 0.0)):.2f}%"
        drawing = el(
            "svg",
            el("rect", x="0", y="2", width="100%", height="12", rx="3", class_="span empty"),
            el("rect", x="0", y="2", width=width, height="12", rx="3", class_=f"span {look}"),
            width="100%",
            height="16",
            aria_hidden="true",
        )
        rows.append(el("div", el("span", cut(name, 40), class_="of"), drawing, el("span", said), class_="bar"))
    return el("div", rows, class_="bars")


class _Rows:
    """Rows instead of values."""

    def at(self, value: float) -> float:
        """It is a place already."""
        return value

    def ticks(self) -> list[Tick]:
        """None."""
        return []


def _mark(chart: Chart, marks: Sequence[Marker], start: int, end: int) -> None:
    inside = sorted((one for one in marks if start <= one.at <= end), key=lambda one: one.at)
    for one in inside[-_MOST_MARKS:]:
        chart.number(one.at, cut(one.text, 60))


def _middle(one: Rate) -> float:
    return (one.start + one.end) / 2


def _step(one: Rate) -> tuple[Point, Point]:
    return (one.start, one.seen), (one.end, one.seen)


def _per(one: Rate) -> str:
    if one.start < TIMED:
        return f"per {one.end - one.start} rows"
    seconds = round((one.end - one.start) / NS)
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            return f"per {name}" if seconds == size else f"per {seconds // size} {name}s"
    return f"per {seconds} s"
