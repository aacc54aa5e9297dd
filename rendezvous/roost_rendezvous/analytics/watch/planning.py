"""Which quantity of a row or an observation feeds which detector: one table, no configuration. Pure.

Streams appear as models, labels, fields, cameras and steps appear. What a stream is told is one of four feeds:

| feed | detector | what comes here |
|---|---|---|
| `Happened` | rate of events, seasonal, stop on a timer (`rates`) | requests, answers by label, words by model |
| `Shown` | shares of words (`shapes.categories`) | cause, kept in time, what a model did, ran on |
| `Measured` | distribution of a number (`shapes.numbers`) | memory and processor time, what waits for the centre |
| `Measured`, kind `latency` | distribution of durations (`shapes.latency`) | steps of traces |

The clock and the links are no streams: the watch itself makes their readings at each look (`parts`, `links`).
Rows as a whole go to `shapes.watching`: scores, clusters, agreement with the canary, durations, fields of the input.
Rates are fed at once and not by rows: a row is told when its request has settled, and that wait would look like a stop.
"""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from roost_rendezvous.analytics.reading import Signal, Subject
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch.observed import Asked, Decided, RanOn, Said, Standing, Traced

_UNTOLD = "none"
_TRACED_WAIT = "wait (traced)"


class Happened(msgspec.Struct, frozen=True, gc=False):
    """An event of a stream."""

    signal: Signal
    what: str
    """For people, in the plural: `answers hen`."""


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A word of a stream of words."""

    signal: Signal
    word: str
    what: str


class Measured(msgspec.Struct, frozen=True, gc=False):
    """A figure of a stream of figures."""

    signal: Signal
    value: float
    what: str


Feed: TypeAlias = Happened | Shown | Measured


def of_request(one: Asked) -> Iterator[Feed]:
    """At once, as it is heard."""
    camera = one.tags.get("camera", "")
    yield Happened(Signal(task=one.task, kind="rate", subject="task", part="requests"), "requests")
    if camera:
        signal = Signal(task=one.task, kind="rate", subject="camera", of=camera, part="requests")
        yield Happened(signal, f"requests of {camera}")


def of_word(one: Said) -> Iterator[Feed]:
    """At once, as it is heard."""
    part = f"declined-{one.reason}" if one.reason else "answers"
    signal = Signal(task=one.task, kind="rate", subject="model", of=one.model, part=part, side="operational")
    yield Happened(signal, f"{'refusals' if one.reason else 'answers'} of {one.model}")


def of_result(one: Decided) -> Iterator[Feed]:
    """At once, as it is heard. What repairs itself (a fallback in time) is a share that may change, never an alarm."""
    if one.model:
        signal = Signal(task=one.task, kind="rate", subject="task", of="answers", part=one.label)
        yield Happened(signal, f"answers {one.label}")
    own = {"task": one.task, "kind": "quality", "subject": "task", "side": "operational"}
    yield Shown(Signal(**own, of="cause"), one.cause, "the cause of the answer")  # type: ignore[arg-type]  # literals
    kept = "in time" if one.elapsed_ms <= one.sla_ms and not one.late else "too late"
    yield Shown(Signal(**own, of="sla"), kept, "the answer")  # type: ignore[arg-type]  # literals, as above
    if one.cohort:
        yield Shown(Signal(**own, of="cohort"), one.cohort, "the model preferred")  # type: ignore[arg-type]  # as above


def of_row(row: Row) -> Iterator[Feed]:
    """When the request has settled: what each model had done by then."""
    for word in row.words:
        did = f"{word.outcome} {word.reason}".strip() if word.outcome != "answered" else word.outcome
        signal = Signal(
            task=row.task, kind="quality", subject="model", of=word.model, part="outcome", side="operational"
        )
        yield Shown(signal, did, f"what {word.model} did")


def of_trace(one: Traced, canary: str = "") -> Iterator[Feed]:
    """Each step of each component (M10). A model's `wait` is called otherwise: rows know one of every request."""
    # Everybody else computes on this device, capture too: a slow card is nothing that the world or a camera did.
    of = one.component.removeprefix("model ")
    subject: Subject = "device" if of == one.component else "canary" if of == canary else "model"
    for step, ms in one.steps.items():
        part = _TRACED_WAIT if step == "wait" and subject != "device" else step
        signal = Signal(task=one.task, kind="latency", subject=subject, of=of, part=part, side="operational")
        yield Measured(signal, ms, f"{one.component}'s step {step} (ms)")


def of_ran_on(one: RanOn) -> Iterator[Feed]:
    """Computing that nobody waited for any more (T2)."""
    signal = Signal(task=one.task, kind="quality", subject="model", of=one.model, part="ran-on", side="operational")
    yield Measured(signal, one.ms, f"{one.model}'s work after the answer (ms)")


def of_standing(one: Standing, before: Standing | None) -> Iterator[Feed]:
    """Memory and processor share of a process (L11), from two states of the same session; a gateway's backlog."""
    if one.waits_ms >= 0:
        signal = Signal(task="", kind="quality", subject="link", of="centre", part="waits", side="operational")
        yield Measured(signal, one.waits_ms / 1e3, "the oldest message that waits for the centre (s)")
    subject: Subject = "model" if one.task else "device"
    own = {"task": one.task, "kind": "health", "subject": subject, "of": one.name, "side": "operational"}
    if one.memory_bytes > 0:
        signal = Signal(**own, part="memory")  # type: ignore[arg-type]  # literals, as the struct has them
        yield Measured(signal, one.memory_bytes / 1e6, f"the memory of {one.name} (MB)")
    if before is None or before.session != one.session or one.cpu_ms < 0 or before.cpu_ms < 0:
        return
    passed = (one.heard - before.heard) / 1e6
    if passed >= 1_000:
        share = max(0, one.cpu_ms - before.cpu_ms) / passed
        signal = Signal(**own, part="processor")  # type: ignore[arg-type]  # literals, as the struct has them
        yield Measured(signal, share, f"the processor share of {one.name}")


def version_of(row: Row) -> Iterator[tuple[str, str]]:
    """Model and version of whoever spoke."""
    for word in row.words:
        yield word.model, word.version or _UNTOLD
