"""What a report says in words, the same for the page and the terminal. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from roost_rendezvous.analytics.alarms.episode import Episode
from roost_rendezvous.analytics.faces.axes import NS, milliseconds, per_cent
from roost_rendezvous.analytics.faces.slow import slow_against, slow_group
from roost_rendezvous.analytics.faces.values import ModelLine, Report, Service, Slow, TaskReport, Trend
from roost_rendezvous.analytics.watch.overview import Repaired

LEAST_FOR_ROOM = 30
"""With fewer answers the busiest period is one by chance."""
TIMED = 10**15
"""Smaller times are numbers of rows."""
_BEFORE = "Shortly before:"
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
    """A model as cells: name, answers, official, not answered, times, agreement."""
    silent = [
        f"{count:,} {what}"
        for what, count in (("declined", model.declined), ("late", model.late), ("absent", model.absent))
        if count
    ]
    times = [milliseconds(one) for one in (model.half_ms, model.slow_ms, model.slowest_ms) if one is not None]
    versions = f" {', '.join(model.versions[-3:])}" if model.versions else ""
    return (
        f"{model.model}{versions}",
        f"{model.answered:,} of {model.asked:,}",
        "–" if model.official is None else f"{model.official:,}",
        ", ".join(silent) or "none",
        " / ".join(times),
        f"{per_cent(model.agrees)} of {model.compared:,}" if model.agrees is not None else "",
    )


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


MODEL_HEADS = ("model", "answered", "official", "not answered", "half / 95 % / 99 % within", "agrees with the official")


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
