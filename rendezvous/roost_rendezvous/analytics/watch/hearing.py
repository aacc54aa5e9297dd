"""Messages of the rendezvous flow made into observations, cut down and bounded. Pure.

What is not of use to the watch gives None. Names come from outside: whatever stands in a message, only so many fields
of so many characters are kept, and a figure that is none (NaN, infinity) is left out as if it were missing.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from itertools import islice

from roost_broker.clock import MS
from roost_broker.messages import (
    Declined,
    Event,
    Message,
    ModelOutcome,
    ModelState,
    Request,
    Result,
    RoleState,
    Score,
    Trace,
)
from roost_rendezvous.analytics.watch.observed import (
    Asked,
    Decided,
    Marked,
    Observed,
    Plain,
    Said,
    Standing,
    Told,
    Traced,
)

MOST_FIELDS = 64
"""Of one request's tags, input and state each; more are left out."""
MOST_LABELS = 64
_LONGEST = 200
_MARKS = frozenset({"schedule-applied", "schedule-put-back", "model-retired"})
_MARK_FAMILIES = ("rollout-",)
_MARKERS = frozenset({"ota", "rollout"})
"""Roles whose events about a model are all marks."""
_LINKED, _WAITS = "linked", "oldest-age-ms"
"""What a gateway counts of its link to the centre (`docs/gateway.md`)."""


def observe(
    message: Message, task: str, heard: int, *, payload: bytes = b"", boot: str = "", monotonic: int = 0
) -> Observed | None:
    """What is kept of a message. `boot` and `monotonic` are this machine's as it was heard."""
    match message:
        case Request():
            return _asked(message, task, heard, payload, boot, monotonic)
        case Score() | Declined():
            return _said(message, task, heard)
        case Result():
            return _decided(message, task, heard)
        case Trace():
            steps: dict[str, float] = {}
            for span in message.spans:
                steps[span.name] = steps.get(span.name, 0.0) + span.duration_ns / MS
            return Traced(heard, message.message_id, task, message.request_id, message.component[:_LONGEST], steps)
        case ModelState():
            return _standing(message, task, message.model, heard)
        case RoleState():
            return _standing(message, "", message.role, heard)
        case Event() if _is_mark(message):
            task, model = (str(message.data.get(name, ""))[:_LONGEST] for name in ("task", "model"))
            return Marked(heard, message.message_id, task, model, f"{message.kind}: {message.detail}"[:_LONGEST])
        case _:
            return None


def _is_mark(event: Event) -> bool:
    path = event.provenance.path
    by = path[-1].component if path else ""
    return event.kind in _MARKS or event.kind.startswith(_MARK_FAMILIES) or (by in _MARKERS and "model" in event.data)


def flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Plain | None]]:
    """Nested tables with dotted names; lists and what is no number, text or truth are told by their kind alone."""
    for key, value in values.items():
        name = f"{prefix}{key}"[:_LONGEST]
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif value is None or isinstance(value, bool):
            yield name, value
        elif isinstance(value, int | float):
            number = float(value)
            yield name, number if math.isfinite(number) else None
        else:
            yield name, (value if isinstance(value, str) else type(value).__name__)[:_LONGEST]


def _asked(message: Request, task: str, heard: int, payload: bytes, boot: str, monotonic: int) -> Asked:
    given, issued = message.input, message.issued
    seen: dict[str, Plain] = {}
    if given.frame is not None:
        frame = given.frame
        seen |= {"frame.bytes": float(frame.bytes), "frame.width": float(frame.width)}
        seen |= {"frame.height": float(frame.height), "frame.sha256": frame.sha256}
    if given.inline is not None:
        seen["inline.bytes"] = float(len(given.inline) * 3 // 4)
    for name, value in islice(flat(given.values or {}), MOST_FIELDS):
        if value is not None:
            seen[name] = value
    same_boot = issued is not None and issued.boot == boot
    return Asked(
        heard=heard,
        message_id=message.message_id,
        task=task,
        request_id=message.request_id,
        at=message.timestamp * MS,
        saw=hashlib.sha256(payload).hexdigest() if payload else "",
        issued_ago=max(0, monotonic - issued.monotonic_ns) if issued is not None and same_boot else -1,
        deadline_ms=message.deadline_ms,
        attempt=issued.attempt if issued is not None else 1,
        tags=_tags(message.tags),
        input=seen,
        state=dict(islice(flat(message.state), MOST_FIELDS)),
        state_age_ms=dict(islice(message.state_age_ms.items(), MOST_FIELDS)),
    )


def _said(message: Score | Declined, task: str, heard: int) -> Said:
    outputs = message.outputs[:MOST_LABELS] if isinstance(message, Score) else []
    return Said(
        heard=heard,
        message_id=message.message_id,
        task=task,
        request_id=message.request_id,
        at=message.timestamp * MS,
        model=message.model,
        version=message.version,
        scores={one.label[:_LONGEST]: one.score for one in outputs if math.isfinite(one.score)},
        compute_ms=_finite(message.compute_ms) if isinstance(message, Score) else 0.0,
        batch=message.batch if isinstance(message, Score) else 1,
        reason=message.reason if isinstance(message, Declined) else "",
        saw=message.saw or "",
    )


def _decided(message: Result, task: str, heard: int) -> Decided:
    answer = message.answer
    return Decided(
        heard=heard,
        message_id=message.message_id,
        task=task,
        request_id=message.request_id,
        at=message.timestamp * MS,
        model=answer.model if answer is not None else "",
        label=answer.label if answer is not None else message.default.label if message.default is not None else "",
        score=answer.score if answer is not None and math.isfinite(answer.score) else None,
        cause=message.cause,
        elapsed_ms=_finite(message.elapsed_ms),
        sla_ms=message.sla_ms,
        late=message.late,
        cohort=message.cohort,
        propensity=message.propensity,
        schedule=message.schedule_version,
        models=tuple(map(_told, message.models[:MOST_FIELDS])),
        tags=_tags(message.tags),
    )


def _standing(message: ModelState | RoleState, task: str, name: str, heard: int) -> Standing:
    usage = message.usage
    counts = message.counts if isinstance(message, RoleState) and _LINKED in message.counts else {}
    return Standing(
        heard=heard,
        message_id=message.message_id,
        task=task,
        name=name,
        state=message.state,
        version=message.version,
        session=message.session,
        memory_bytes=usage.memory_bytes if usage is not None else -1,
        cpu_ms=usage.cpu_ms if usage is not None else -1,
        replica=message.replica if isinstance(message, ModelState) else 0,
        linked=counts.get(_LINKED, -1),
        waits_ms=counts.get(_WAITS, -1),
    )


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {name[:_LONGEST]: value[:_LONGEST] for name, value in islice(tags.items(), MOST_FIELDS)}


def _told(one: ModelOutcome) -> Told:
    elapsed = one.elapsed_ms if one.elapsed_ms is None or math.isfinite(one.elapsed_ms) else None
    return Told(one.model, one.version, one.status, elapsed, one.reason, one.ignored)


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0
