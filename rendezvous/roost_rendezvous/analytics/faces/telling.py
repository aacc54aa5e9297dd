"""What a report says in words, the same for the page and the terminal. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from roost_broker.enumeration import first_of
from roost_rendezvous.analytics.alarms.episode import Episode
from roost_rendezvous.analytics.faces.axes import NS, milliseconds, per_cent
from roost_rendezvous.analytics.faces.slow import slow_against, slow_group
from roost_rendezvous.analytics.faces.values import ModelLine, Report, Service, Slow, TaskReport, Trend
from roost_rendezvous.analytics.watch.overview import Repaired

LEAST_FOR_ROOM = 30
"""With fewer answers the busiest period is one by chance."""
AFTER = "after the result"
"""Of answers that came when another one, or a default, was official already; a comparison says the same."""
TIMED = 10**15
"""Smaller times are numbers of rows."""
_BEFORE = "Shortly before:"
_NAMED = 4
_OPENINGS = frozenset({"The", "What", "Only", "No", "Nothing", "It", "Messages", "Shortly"})
"""Words with which verdicts begin."""
VERDICTS = {
    "model": "the model changed",
    "world": "the world changed",
    "camera": "the camera changed",
    "clock": "the clock was set",
    "link": "the link was away",
    "unknown": "it cannot be told what changed",
}


def moment(at: int, zone: tzinfo | None) -> str:
    """A time, or a row's number."""
    if at < TIMED:
        return f"row {at:,}"
    try:
        return datetime.fromtimestamp(at / NS, zone).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "no date"


def span(report: Report, zone: tzinfo | None) -> str:
    """From when to when."""
    return f"{moment(report.since, zone)} to {moment(report.until, zone)}"


def service(found: Service) -> str:
    """Were the promises kept?"""
    if found.attained is None:
        return "Whether answers came in time is not known: the rows have no deadline or no outcome."
    known = found.requests - found.unknown
    late = known - found.in_time
    missed = f"{late:,} did not" if late else "none did not"
    said = f"{per_cent(found.attained)} of {known:,} requests were answered in time; {missed}."
    defaults = found.in_time - found.by_model
    if defaults:
        said += f" {defaults:,} of the answers were the safe default, because no model had answered."
    return said


def causes(found: Service) -> str:
    """How answers came about."""
    total = sum(found.causes.values())
    return ", ".join(f"{cause} {per_cent(count / total)}" for cause, count in found.causes.items()) if total else ""


def mended(found: Iterable[Repaired]) -> str:
    """What nobody had to be called for; empty when there was none this week."""
    parts = [f"{one.week:,} {one.what}" for one in found if one.week]
    return f"Mended by itself in the last seven days, and not paged: {', '.join(parts)}." if parts else ""


def trend(found: Trend | None) -> str:
    """Is the traffic growing?"""
    if found is None:
        return "Too few requests or too short a time to speak of a trend."
    low, high = round(100 * (found.low - 1)), round(100 * (found.high - 1))
    by = round(100 * (found.ratio - 1))
    if low <= 0 <= high:
        return f"Traffic holds: {by:+d} % between the two halves of the time ({low:+d} to {high:+d} %)."
    moved = "grows" if by > 0 else "shrinks"
    return f"Traffic {moved}: {by:+d} % from the first to the second half of the time ({low:+d} to {high:+d} %)."


def slow(task: TaskReport) -> tuple[Slow | None, bool]:
    """A group of slow answers; and whether it is new in the second half of the time."""
    if task.first_half is not None and task.second_half is not None:
        fresh = slow_against(task.second_half, task.first_half)
        if fresh is not None:
            return fresh, True
    return (slow_group(task.latency) if task.latency is not None else None), False


def room(model: ModelLine) -> str:
    """How much more it could take."""
    if model.answered < LEAST_FOR_ROOM:
        return f"not enough history: {model.answered} of {LEAST_FOR_ROOM} answers"
    if model.busy is None or model.room is None:
        return "not known"
    if model.busy >= 1:
        return f"none: it needs {model.busy:.1f} processes when busiest"
    return f"{model.room:.1f} × as many" if model.room < 100 else "more than 100 ×"


def model_line(model: ModelLine) -> tuple[str, ...]:
    """A model as cells: name, answers, those after the result, official, not answered, times, agreement."""
    silent = [f"{count:,} {what}" for what, count in (("declined", model.declined), ("absent", model.absent)) if count]
    known = model.official is not None
    times = [milliseconds(one) for one in (model.half_ms, model.slow_ms, model.slowest_ms) if one is not None]
    versions = f" {', '.join(model.versions[-3:])}" if model.versions else ""
    return (
        f"{model.model}{versions}",
        f"{model.answered:,} of {model.asked:,}" if known else f"{model.answered:,}",
        (f"{model.late:,}" if model.late else "") if known else "–",
        f"{model.official:,}" if known else "–",
        ", ".join(silent) or ("none" if known else "–"),
        " / ".join(times),
        f"{per_cent(model.agrees)} of {model.compared:,}" if model.agrees is not None else "",
    )


def models_explained(found: Iterable[ModelLine]) -> Iterator[str]:
    """What the counts of the table count; where two of them seem to contradict each other, why."""
    models = list(found)
    if not models:
        return
    if all(one.official is None for one in models):
        yield f"Answered: before or {AFTER}. A dash: windows do not tell it (rows do)."
        return
    yield f"Answered: before or {AFTER}. Official: results that name the model."
    if any(one.absent for one in models):
        yield (
            "Absent: neither an answer nor a refusal of it stands beside the request; `roost compare` tells silent, "
            "not in service and another input apart."
        )
    more = [one for one in models if (one.official or 0) > one.answered - one.late]
    if more:
        named = first_of([f"{one.model} {(one.official or 0) - one.answered + one.late:,}" for one in more], _NAMED)
        yield (
            f"More official than answered before the result ({named}): the result names it, but its answer was to "
            "another attempt of the request, or was not recorded."
        )


def noted(report: Report, zone: tzinfo | None) -> tuple[str, ...]:
    """What is to be known before the figures."""
    young = one_period(report, zone)
    return (*report.notes, young) if young else report.notes


def one_period(report: Report, zone: tzinfo | None) -> str:
    """Said where all plots have a single period, with when there will be more; empty where there are several."""
    seen = {(one.start, one.end) for task in report.tasks for one in task.rates.periods if one.seen}
    if len(seen) != 1:
        return ""
    ((start, end),) = seen
    said = f"There is one period with requests yet, {moment(start, zone)} to {moment(end, zone)[-5:]}"
    if start < TIMED:
        said = f"There is one period with requests, {moment(start, zone)} to {end - 1:,}"
    said += ": plots over time show one mark, and nothing can be said of a change."
    if report.next_at:
        said += f" The next one is complete at {moment(report.next_at, zone)[-5:]}, if requests come."
    return said


def _within(reason: str) -> str:
    """A sentence in the middle of another: names keep their capitals."""
    first, _, rest = reason.partition(" ")
    return f"{first.lower() if first in _OPENINGS else first} {rest}".rstrip()


def beside(report: Report) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is told of the device as a whole: title and sentences."""
    if report.neighbours:
        yield "Do models disturb each other?", report.neighbours
    if report.inputs:
        yield "Which inputs do models use?", report.inputs


MODEL_HEADS = (
    "model",
    "answered",
    f"of these {AFTER}",
    "official",
    "not answered",
    "half / 95 % / 99 % within",
    "agrees with the official",
)


def episode(found: Episode, zone: tzinfo | None) -> Iterator[str]:
    """An alarm: what, whose, why, after what; then who moved."""
    when = moment(found.opened, zone)
    if found.ended is not None:
        when += f" to {moment(found.ended, zone)}"
    yield f"{found.id}  {found.state}  {when}  {found.task or 'the device'}"
    first = found.culprit
    yield f"{VERDICTS[found.verdict]}: {(first.sentence or first.signal) if first else 'something is unusual'}"
    for reason in found.reasons:
        if not (found.markers and reason.startswith(_BEFORE)):  # markers are told below, with their time
            yield f"because {_within(reason.rstrip('.'))}"
    for mark in found.markers:
        yield f"before it: {moment(mark.at, zone)} {mark.text}"
    for one in found.contributions:
        yield f"{per_cent(one.share):>6}  {one.signal}: {one.sentence or 'unusual'}"
