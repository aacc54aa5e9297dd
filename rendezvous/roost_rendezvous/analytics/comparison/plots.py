"""Two models' scores of the same requests as pictures: raw, as quantiles, and what scores highest (fig. 5-1). Pure."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from roost_rendezvous.analytics.comparison.matching import in_top, sentence
from roost_rendezvous.analytics.comparison.quantiles import Floats, History
from roost_rendezvous.analytics.comparison.report import ByLabel
from roost_rendezvous.analytics.comparison.row_files import SCORE
from roost_rendezvous.analytics.comparison.scoring import LabelScores
from roost_rendezvous.analytics.comparison.telling import calibration
from roost_rendezvous.analytics.faces.axes import Axis, Linear, Log, Tick, per_cent
from roost_rendezvous.analytics.faces.chart import Chart, Point
from roost_rendezvous.analytics.faces.markup import Html

Indices: TypeAlias = NDArray[np.intp]

MOST_DOTS = 700
_HEIGHT = 300
_TOP = 0.05
_WIDE = 1_000.0
"""Positive scores that differ by such a factor get axes of equal ratios."""


class FromTheTop:
    """Quantiles by their distance from the top, equal ratios equally far apart: the top 1 % has room, too."""

    def __init__(self, count: int) -> None:
        self._low = 1 / max(20, 2 * count)

    def at(self, value: float) -> float:
        """See `Axis`: 0 is the lowest score, 1 the highest."""
        distance = min(1.0, max(self._low, 1 - value))
        return math.log(distance) / math.log(self._low)

    def ticks(self) -> list[Tick]:
        """See `Axis`."""
        shares = [share for share in (1.0, 0.5, 0.1, 0.01, 0.001, 0.0001) if share >= self._low]
        return [Tick(self.at(1 - share), "all" if share == 1 else f"{100 * share:g} %") for share in shares]


def raw_plot(scores: LabelScores, found: ByLabel, one: str, other: str) -> Html:
    """Each request's two scores, and the line that joins equal quantiles."""
    both = np.concatenate([scores.one, scores.other])
    x, y = _axis(scores.one, both), _axis(scores.other, both)
    chart = Chart(x, y, height=_HEIGHT, x_title=one, y_title=other)
    low, high = max(float(scores.one.min()), float(scores.other.min())), min(_most(scores.one), _most(scores.other))
    if high > low:
        chart.line([(low, low), (high, high)], "normal", "the same score")
    chart.dots(_points(scores.one, scores.other, chosen(scores)), "now", "a request")
    shares = np.linspace(0, 1, 101)
    matched = zip(History(scores.one).at(shares).tolist(), History(scores.other).at(shares).tolist(), strict=True)
    chart.line([(a, b) for a, b in matched], "slow", "equally rare scores")
    return chart.drawn(
        "The scores" if found.label == SCORE else f"Scores of {found.label}",
        f"Each dot is one request: so far right as {one} scored it, so high as {other} did. {calibration(found)} The "
        "orange line joins scores that are equally rare in both; where it leaves the grey one, the same number means "
        "different things.",
    )


def quantile_plot(scores: LabelScores, found: ByLabel, one: str, other: str) -> Html:
    """Each request's two quantiles: the scale is gone, the order is left."""
    x, y = Linear(0, 1, exact=True, text=per_cent), Linear(0, 1, exact=True, text=per_cent)
    chart = Chart(x, y, height=_HEIGHT, x_title=f"{one}, quantile", y_title=f"{other}, quantile")
    chart.line([(0, 0), (1, 1)], "normal", "the same rank")
    chart.dots(_points(scores.one_quantiles, scores.other_quantiles, chosen(scores)), "now", "a request")
    correlation = "" if found.spearman is None else f" Correlation of the ranks: {found.spearman:.3f}."
    return chart.drawn(
        "The same as quantiles" if found.label == SCORE else f"The same for {found.label} as quantiles",
        "Each score is replaced by its share of lower scores of the same model, so another calibration disappears and "
        f"only the order is left. Dots on the grey line: both put the request at the same rank.{correlation}",
    )


def top_plot(scores: LabelScores, found: ByLabel, one: str, other: str) -> Html:
    """The same from the top, on axes of equal ratios: where thresholds are, there is room."""
    count = int(scores.one.size)
    x, y = FromTheTop(count), FromTheTop(count)
    chart = Chart(x, y, height=_HEIGHT, x_title=f"{one}, top", y_title=f"{other}, top")
    chart.line([(0, 0), (1 - 0.5 / count, 1 - 0.5 / count)], "normal", "the same rank")
    picked = chosen(scores)
    lost = (in_top(scores.one_quantiles, _TOP) > 0.5) != (in_top(scores.other_quantiles, _TOP) > 0.5)
    chart.dots(_points(scores.one_quantiles, scores.other_quantiles, picked[~lost[picked]]), "now", "a request")
    if lost.any():
        said = f"in the top {100 * _TOP:g} % of one of them only"
        chart.dots(_points(scores.one_quantiles, scores.other_quantiles, picked[lost[picked]]), "bad", said)
    said = sentence(found.tops)
    return chart.drawn(
        "The highest scores" if found.label == SCORE else f"The highest scores of {found.label}",
        f"The upper right corner is what both score highest. {said[:1].upper()}{said[1:]}. Red dots would be treated "
        f"differently by a threshold at the top {100 * _TOP:g} %.",
    )


def chosen(scores: LabelScores) -> Indices:
    """Which requests are drawn: half of the dots for the highest ranks, half spread over all. The same every time."""
    count = int(scores.one.size)
    if count <= MOST_DOTS:
        return np.arange(count, dtype=np.intp)
    best = np.argsort(-np.maximum(scores.one_quantiles, scores.other_quantiles), kind="stable")
    spread = best[np.linspace(0, count - 1, MOST_DOTS // 2).astype(int)]
    # As many from each tenfold: the first hundred, then ever fewer of ever more.
    steep = best[np.unique(np.geomspace(1, count, MOST_DOTS // 2).astype(int) - 1)]
    return np.asarray(np.unique(np.concatenate([spread, steep])), dtype=np.intp)


def _points(one: Floats, other: Floats, where: Indices) -> Sequence[Point]:
    return list(zip(one[where].tolist(), other[where].tolist(), strict=True))


def _axis(values: Floats, both: Floats) -> Axis:
    low, high = float(values.min()), float(values.max())
    if float(both.min()) >= 0 and float(both.max()) <= 1:
        return Linear(0, 1)
    if low > 0 and high / low > _WIDE:
        return Log(low, high)
    return Linear(low, high)


def _most(values: Floats) -> float:
    return float(values.max())
