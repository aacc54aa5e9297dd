"""Latency on two logarithmic axes: one per cent of slow answers cannot hide (the book, figures 7-4 and 7-5). Pure.

On linear axes a group of one per cent, spread over bins three times as wide, is a line one pixel high. With a
logarithmic height it is a hill of its own, and how many it holds can be read off.
"""

from roost_rendezvous.analytics.faces.axes import Log, milliseconds, per_cent, plain
from roost_rendezvous.analytics.faces.chart import Chart
from roost_rendezvous.analytics.faces.markup import Html
from roost_rendezvous.analytics.faces.slow import bars, half
from roost_rendezvous.analytics.faces.values import Histogram, Slow


def latency_plot(
    now: Histogram,
    *,
    of: str,
    usual: Histogram | None = None,
    corrected: Histogram | None = None,
    slow: Slow | None = None,
    deadline_ms: float = 0,
    halves: bool = False,
) -> Html:
    """The figure. `usual` is scaled to as many answers as `now` has; with `halves` it is the time before."""
    shown = [one for one in (now, usual, corrected) if one is not None]
    low = min((low for one in shown for low, _, count in bars(one) if count), default=1.0)
    high = max((high for one in shown for _, high, count in bars(one) if count), default=10.0)
    if deadline_ms:
        high = max(high, deadline_ms * 1.2)
    most = max((count for one in shown for count in one.counts), default=1.0)
    chart = Chart(
        Log(max(low / 1.1, 1e-3), high * 1.1, text=milliseconds),
        Log(0.5, max(most, 10.0) * 1.3, text=plain),
        x_title="time until the answer (each step to the right is a multiple)",
        y_title="answers (each step up is ten times as many)",
    )
    if corrected is not None:
        chart.steps(corrected.edges, corrected.counts, "slow", "with those that a hold kept away")
    chart.steps(now.edges, now.counts, "now", "second half of the time" if halves else "this period")
    if usual is not None and usual.total:
        scale = now.total / usual.total
        edges, counts = usual.edges, [count * scale for count in usual.counts]
        points = [(edge, count) for nth, count in enumerate(counts) for edge in (edges[nth], edges[nth + 1])]
        chart.line(points, "normal", "first half" if halves else "usual")
    if slow is not None:
        chart.mark(slow.from_ms, f"{per_cent(slow.share)} slow", "slow", row=0.82)
    if deadline_ms:
        chart.mark(deadline_ms, "deadline", "bad")
    return chart.drawn(_title(of, now, slow), _explained(slow))


def _title(of: str, now: Histogram, slow: Slow | None) -> str:
    if slow is not None:
        return f"{per_cent(slow.share)} of the answers of {of} are about {slow.times:.2g} times as slow as the rest"
    return f"How long {of} takes: half within {milliseconds(half(bars(now)))}"


def _explained(slow: Slow | None) -> str:
    said = (
        "Each step to the right and up is a multiple, so that a few slow answers are a hill of their own instead of a "
        "line too flat to be seen."
    )
    if slow is None:
        return f"{said} One hill is good; a second one to the right would be a group with a trouble of its own."
    return f"{said} The hill right of the dashed line is a group with a trouble of its own: look at who is in it."
