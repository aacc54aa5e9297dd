"""A report as one HTML page that needs nothing else: its style and its pictures are in it. Pure.

The policy in its head allows nothing but its own style: what came from outside can neither be run nor be fetched.
"""

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from itertools import islice

from roost_rendezvous.analytics.alarms.episode import Episode
from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.faces.axes import milliseconds, per_cent
from roost_rendezvous.analytics.faces.chart import figure
from roost_rendezvous.analytics.faces.latency import latency_plot
from roost_rendezvous.analytics.faces.markup import Html, badge, cut, el, joined, table
from roost_rendezvous.analytics.faces.plots import alarms_plot, bands_plot, bars, qq_plot, rates_plot
from roost_rendezvous.analytics.faces.standing import standing_table
from roost_rendezvous.analytics.faces.values import Report, TaskReport

MOST_ROOMS = 30
_MOST_MODELS = 60
_GRADES = {"open": "bad", "acknowledged": "warn", "ended": "off"}


def document(report: Report, *, style: str, zone: tzinfo | None, races: Html | None = None) -> str:
    """The whole page. `style` is CSS; `races` are waterfalls of single requests, drawn elsewhere."""
    parts = [
        el("h1", "What the models did"),
        el("p", el("strong", report.source), f" · {telling.span(report, zone)}"),
        [el("p", note, class_="note") for note in telling.noted(report, zone)],
        alarms(report.alarms, report, zone),
        [task(one, report, zone) for one in report.tasks],
    ]
    for title, lines in telling.beside(report):
        parts += [el("h2", title), el("ul", (el("li", cut(line, 300)) for line in lines))]
    if report.standing:
        parts += [el("h2", "Everything that is watched"), standing_table(report.standing, zone)]
    if races is not None:
        parts += [el("h2", "Single requests"), races]
    if report.left_out:
        said = ", ".join(f"{count:,} {what}" for what, count in report.left_out.items())
        parts.append(el("p", f"Left out: {said}.", class_="note"))
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
        el("title", f"What the models did: {report.source}"),
        el("link", rel="icon", href="data:,"),
        el("style", Html(style)),
    )
    return "<!doctype html>" + el("html", head, el("body", el("main", parts)), lang="en")


def alarms(found: Sequence[Episode], report: Report, zone: tzinfo | None) -> Html | None:
    """Alarms on a line of time, and in words."""
    if not found and not report.marks:
        return None
    start, end = report.since, max(report.until, *(one.updated for one in found), report.since + 1)
    return joined(
        el("h2", "Alarms"),
        alarms_plot(found, start, end, zone, marks=report.marks),
        episodes(found, zone),
    )


def episodes(found: Iterable[Episode], zone: tzinfo | None) -> Html:
    """Each alarm in words, the culprit first."""
    rows = []
    for one in found:
        lines = list(telling.episode(one, zone))
        rows.append(
            el(
                "li",
                badge(_GRADES[one.state], one.state),
                " ",
                el("strong", cut(lines[1], 240)),
                el("br"),
                el("span", cut(lines[0].split("  ", 2)[-1], 120), class_="dim"),
                el("ul", (el("li", cut(line.strip(), 240)) for line in lines[2:12])) if lines[2:] else None,
            )
        )
    return el("ol", rows, class_="races") if rows else el("p", "No alarm.", class_="none")


def task(found: TaskReport, report: Report, zone: tzinfo | None) -> Html:
    """One task: is it served, how much comes, how fast, what is said, by whom."""
    start, end, marks = report.since, report.until, [one for one in report.marks if one.task in ("", found.task)]
    plots: list[Html] = [_service(found), rates_plot(found.rates, start, end, zone, marks=marks)]
    latency = _latency(found)
    if latency is not None:
        plots.append(latency)
    plots += [bands_plot(one, start, end, zone, marks=marks) for one in found.scores]
    plots += [
        # Where few requests lie between two groups of scores a step aside is chance, so no distance is told.
        qq_plot(
            one.points,
            first="first half of the time",
            second="second half",
            title=f"{one.name[:1].upper()}{one.name[1:]}: the second half of the time beside the first",
        )
        for one in found.halves
    ]
    plots += [rates_plot(one, start, end, zone, marks=marks) for one in found.label_rates]
    return joined(
        el("h2", f"Task {found.task}" if found.task else "Requests"),
        el("p", telling.trend(found.trend)) if found.trend is not None else None,
        el("div", plots, class_="plots"),
        el("h3", "Models"),
        models(found),
    )


def models(found: TaskReport) -> Html:
    """A table, and how much room each has."""
    shown = found.models[:_MOST_MODELS]
    parts: list[Html] = [table(telling.MODEL_HEADS, (telling.model_line(one) for one in shown))]
    parts += [el("p", line, class_="note") for line in telling.models_explained(shown)]
    if len(found.models) > len(shown):
        parts.append(el("p", f"{len(found.models) - len(shown)} more models are official less often.", class_="note"))
    busy = list(islice((one for one in found.models if one.busy is not None), MOST_ROOMS))
    if busy:
        most_busy = max(busy, key=lambda one: one.busy or 0)
        drawn = bars(
            [(one.model, one.busy or 0.0, f"{telling.room(one)} ({per_cent(one.busy or 0)})") for one in busy], most=1
        )
        parts.append(
            figure(
                f"The least room has {most_busy.model}: {telling.room(most_busy)}",
                "A bar is the share of its busiest period in which one process of a model computed. A full bar can "
                "take no more; above three quarters queues grow quickly, because requests do not come evenly.",
                drawn,
            )
        )
    return joined(parts)


def _service(found: TaskReport) -> Html:
    attained, known = found.service.attained, found.service.requests - found.service.unknown
    title = telling.service(found.service)
    explained = (
        f"The promise is an official answer within {milliseconds(found.deadline_ms)}, always. A default keeps it, but "
        "is no classification. "
        if found.deadline_ms
        else ""
    ) + "Preferred: the model that should answer did. Fallback: another one, in its place. Default: none in time."
    total = sum(found.service.causes.values())
    looks = {"preferred": "good", "default": "bad"}
    rows = [
        bars([(cause, count / total, f"{count:,} · {per_cent(count / total)}")], most=1, look=looks.get(cause, "slow"))
        for cause, count in found.service.causes.items()
    ]
    if attained is not None:
        look = "good" if attained >= 0.999 else "slow" if attained > 0.99 else "bad"
        rows.insert(0, bars([("in time", attained, f"{found.service.in_time:,} of {known:,}")], most=1, look=look))
    return figure(title, explained, *rows)


def _latency(found: TaskReport) -> Html | None:
    if found.latency is None:
        return None
    group, fresh = telling.slow(found)
    of = found.task or "a request"
    if fresh and found.second_half is not None:
        return latency_plot(
            found.second_half, of=of, usual=found.first_half, slow=group, deadline_ms=found.deadline_ms, halves=True
        )
    return latency_plot(found.latency, of=of, slow=group, corrected=found.corrected, deadline_ms=found.deadline_ms)
