"""The one object at the end: what was asked, what became of it, and whether the promise was kept. Pure."""

from typing import Any

import msgspec

from roost_edge.capture.request_summary import RequestSummary
from roost_edge.plurals import counted


class ReplayFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The archive, scored again by one bundle."""

    model: str
    given: int
    """Scores of this model in the archive."""
    compared: int
    identical: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The first eleven fields are the demo's contract; what follows them explains."""

    requests: int
    answered: int
    within_sla: int
    by_cause: dict[str, int]
    by_model: dict[str, int]
    p50_ms: float | None
    p99_ms: float | None
    archived: int
    replay_identical: float | None
    """Percentage of the compared scores; None when there was none to compare."""
    alerts: int
    """Sightings that began (`new`), as seen by a subscriber."""
    defaults: int
    replay_compared: int
    replay_by_model: dict[str, str]
    seconds: float
    source: str
    faults: list[str]
    ok: bool
    problems: list[str]
    """Why `ok` is false, in sentences."""
    notes: list[str]
    """What a reader should know besides."""


def summarise(
    log: RequestSummary,
    *,
    archived: int,
    replays: list[ReplayFigures],
    alerts: int,
    seconds: float,
    source: str,
    faults: list[str],
    notes: list[str] | None = None,
    problems: list[str] | None = None,
    interrupted: bool = False,
) -> Summary:
    """Put the figures together and judge them: every request answered within its SLA and archived, and at least one.

    `problems` are failures found elsewhere (a role that did not start); any makes the run not ok. `interrupted` says
    that a person ended it.
    """
    compared = sum(one.compared for one in replays)
    identical = sum(one.identical for one in replays)
    found = [*(problems or []), *_judge(log, archived, interrupted=interrupted)]
    said = list(notes or [])
    if identical < compared:
        said.append(f"{compared - identical} of {compared} scores differ when the archive is scored again.")
    said += [
        f"{one.given - one.compared} of {one.given} scores of {one.model} could not be compared: other bundle, "
        "other runtime or frame gone."
        for one in replays
        if one.compared < one.given
    ]
    if log.answered and log.by_cause.get("default", 0) == log.answered:
        said.append("No model answered; every answer was the schedule's default.")
    if log.second_answers:
        said.append(f"{counted(log.second_answers, 'request')} got a second answer, which was ignored.")
    return Summary(
        requests=log.requests,
        answered=log.answered,
        within_sla=log.within_sla,
        by_cause=log.by_cause,
        by_model=log.by_model,
        p50_ms=_rounded(log.p50_ms),
        p99_ms=_rounded(log.p99_ms),
        archived=archived,
        # Rounded down: 100 must mean all.
        replay_identical=None if compared == 0 else int(10_000 * identical / compared) / 100,
        alerts=alerts,
        defaults=log.by_cause.get("default", 0),
        replay_compared=compared,
        replay_by_model={one.model: f"{one.identical}/{one.compared}" for one in replays},
        seconds=round(seconds, 1),
        source=source,
        faults=faults,
        ok=not found,
        problems=found,
        notes=said,
    )


def as_json(summary: Summary) -> str:
    """One line of JSON, keys in the order of the fields."""
    return msgspec.json.encode(summary).decode()


def as_lines(summary: Summary) -> list[str]:
    """The same for people."""
    s: Any = summary
    causes = ", ".join(f"{cause} {count}" for cause, count in s.by_cause.items()) or "none"
    models = ", ".join(f"{model} {count}" for model, count in s.by_model.items()) or "none"
    told = [*(f"Note: {note}" for note in s.notes), *(f"Problem: {problem}" for problem in s.problems)]
    if s.requests == 0:
        return told  # the problem says it; figures would be a list of noughts
    lines = [
        f"{counted(s.requests, 'request')} in {s.seconds:g} s, {s.answered} answered, {s.within_sla} within their SLA, "
        f"{s.archived} archived.",
        f"Answers by cause: {causes}; by model: {models}.",
    ]
    if s.p50_ms is not None:
        lines.append(f"Half of the answers came within {s.p50_ms:g} ms, 99 % within {s.p99_ms:g} ms.")
    if s.replay_identical is not None:
        lines.append(
            f"Scored again from the archive alone: {s.replay_identical:g} % of {s.replay_compared} scores are "
            "identical to the last bit."
        )
    lines.append(f"Sightings told on MQTT: {s.alerts}. Answers that were the default: {s.defaults}.")
    return lines + told


def _judge(log: RequestSummary, archived: int, *, interrupted: bool) -> list[str]:
    if log.requests == 0 and interrupted:
        return ["It was ended before anything moved before the camera, so nothing was asked."]
    if log.requests == 0:
        return ["Nothing moved before the camera, so nothing was asked. Let it run for longer."]
    problems = []
    if unanswered := log.requests - log.answered:
        problems.append(f"{unanswered} of {log.requests} requests were not answered.")
    if late := log.answered - log.within_sla:
        problems.append(f"{counted(late, 'answer came after its', 'answers came after their')} SLA.")
    if archived != log.requests:
        accepted = counted(log.requests, "request was", "requests were")
        problems.append(f"{accepted} accepted, but {counted(archived, 'is', 'are')} in the archive.")
    if unacknowledged := log.requests - log.receipts:
        problems.append(f"{counted(unacknowledged, 'request has', 'requests have')} no receipt from the archive.")
    return problems


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
