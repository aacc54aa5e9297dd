"""Every message that Roost puts on a wire, declared once; `decode` is the only reader.

The four common fields (timestamp, message id, provenance, diagnostics) and the fields of requests,
scores and results are those of Dunning & Friedman, *Machine Learning Logistics*, ch. 3, "Message Contents".
JSON, because any MQTT tool can then show it. The payload is complete by itself: MQTT 5 properties are
used only at the rim, so a bridge that drops them loses nothing.

Limits are part of the contract: see `MAX_BYTES`, `MAX_DEPTH` and the `Meta` bounds on strings. Fields this
version does not know are ignored by the structs; whoever passes a message on passes on the *bytes* (or
uses `with_fields`), so unknown fields are kept.
"""

from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_broker.nesting import depth

MAX_BYTES = 100_000
"""Largest message on any topic. Frames travel by reference."""
MAX_DEPTH = 12
"""Deepest nesting of objects and lists."""

Id: TypeAlias = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)", description="128 bits as 32 hex digits, sorts by time")
]
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="SHA-256 as 64 hex digits")]
Name: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)",
        description="one level of a topic; no dots, spaces or wildcards",
    ),
]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Label: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Topic: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500)]
# 63 bits, so that every reader can keep a number: SQLite, for one, takes no more.
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Millis: TypeAlias = Count
JsonObject: TypeAlias = dict[str, Any]


class _Struct(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    pass


class Hop(_Struct, frozen=True, kw_only=True):
    """One processing element that touched a message."""

    node: Name
    component: Label
    version: Text = ""
    at: Millis = 0
    """Wall clock in milliseconds."""


class Provenance(_Struct, frozen=True, kw_only=True):
    """Where a message has been; kept short unless `diagnostics.trace` asks for more."""

    path: Annotated[list[Hop], Meta(max_length=32)] = field(default_factory=list)
    trace_parent: Text | None = None
    overrides: Annotated[list[Text], Meta(max_length=16)] = field(default_factory=list)
    """What `diagnostics` changed for this request: its own schedule, faults, a forced trace."""


class Diagnostics(_Struct, frozen=True, kw_only=True):
    """Flags that override the environment for one request; honoured only where settings say QA."""

    trace: bool = False
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    schedule: JsonObject | None = None
    """A whole schedule for this request alone (see `roost_rendezvous.schedule`)."""
    faults: Annotated[list[JsonObject], Meta(max_length=16)] = field(default_factory=list)


class FrameRef(_Struct, frozen=True, kw_only=True):
    """A frame by reference: the content hash is its identity, the path a hint where to look."""

    sha256: Digest
    bytes: Count
    path: Text
    width: Annotated[int, Meta(ge=1, le=65_535)]
    height: Annotated[int, Meta(ge=1, le=65_535)]
    media_type: Text = "image/jpeg"


class Input(_Struct, frozen=True, kw_only=True):
    """What the models are asked about: a frame by reference, a small one inline, or plain values."""

    frame: FrameRef | None = None
    inline: Annotated[str, Meta(max_length=90_000, description="base64 of a small JPEG or PNG")] | None = None
    values: JsonObject | None = None


class Issued(_Struct, frozen=True, kw_only=True):
    """Order and age on the issuing device, safe against clock steps.

    `monotonic_ns` may be compared only by processes of the same `boot`.
    """

    boot: Id
    seq: Count
    monotonic_ns: Count
    attempt: Positive = 1
    clock: Literal["synced", "unsynced"] = "synced"


class _Header(_Struct, frozen=True, kw_only=True):
    timestamp: Millis
    message_id: Id
    provenance: Provenance = field(default_factory=Provenance)
    diagnostics: Diagnostics | None = None


class Request(_Header, tag_field="schema", tag="roost.request/1", frozen=True, kw_only=True):
    """A question for every model of a task. On `raw` without external state, on `input` with it."""

    request_id: Id
    return_address: Topic
    deadline_ms: Annotated[int, Meta(ge=1, le=3_600_000)]
    issued: Issued | None = None
    tags: dict[str, Text] = field(default_factory=dict)
    input: Input
    state: JsonObject = field(default_factory=dict)
    """External state, added once by the state injector so that every model sees the same."""
    state_age_ms: dict[str, Millis] = field(default_factory=dict)
    """How old each value of `state` was when it was added; a value computed at that moment is 0 old."""


class Output(_Struct, frozen=True, kw_only=True):
    """One label with its score."""

    label: Label
    score: float


class Score(_Header, tag_field="schema", tag="roost.score/1", frozen=True, kw_only=True):
    """A model's answer to one request."""

    request_id: Id
    model: Name
    version: Text
    outputs: Annotated[list[Output], Meta(min_length=1, max_length=1000)]
    """Best first."""
    compute_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Evaluation alone, without waiting."""
    batch: Positive = 1
    """How many requests were evaluated together."""
    bundle: Digest | None = None
    runtime: Text = ""
    """Engine, its version and the number format: exact replay means the same runtime."""
    saw: Digest | None = None
    """SHA-256 of the input message's bytes as this model received them (promise V1)."""


DeclineReason: TypeAlias = Literal[
    "behind",
    "failed",
    "not-ready",
    "not-sampled",
    "frame-missing",
    "frame-truncated",
    "frame-altered",
    "bad-input",
    "expired",
]


class Declined(_Header, tag_field="schema", tag="roost.declined/1", frozen=True, kw_only=True):
    """A model will not answer this request; nobody need wait for it."""

    request_id: Id
    model: Name
    version: Text
    reason: DeclineReason
    """`not-sampled`: the schedule asks this model for a share of the requests only (`[sample]`)."""
    detail: Text = ""
    saw: Digest | None = None


class ModelOutcome(_Struct, frozen=True, kw_only=True):
    """What one model had done for a request when it was answered."""

    model: Name
    version: Text = ""
    status: Literal["answered", "declined", "pending", "gone"]
    elapsed_ms: Annotated[float, Meta(ge=0)] | None = None
    reason: Text = ""
    label: Label | None = None
    score: float | None = None
    ignored: bool = False
    """The schedule names this model as never official (canary, preproduction)."""


class Answer(_Struct, frozen=True, kw_only=True):
    """The official classification: which model said it, and its outputs best first."""

    model: Name
    version: Text
    label: Label
    score: float
    outputs: Annotated[list[Output], Meta(max_length=1000)] = field(default_factory=list)


class DefaultAnswer(_Struct, frozen=True, kw_only=True):
    """No model answered in time. This is the schedule's safe constant, not a classification."""

    label: Label
    reason: Text


class Result(_Header, tag_field="schema", tag="roost.result/1", frozen=True, kw_only=True):
    """The official outcome of one request: exactly one of `answer` and `default` is present."""

    request_id: Id
    cause: Literal["preferred", "fallback", "override", "default"]
    answer: Answer | None = None
    default: DefaultAnswer | None = None
    elapsed_ms: Annotated[float, Meta(ge=0)]
    """From issue (same boot) or arrival at the rendezvous to the decision."""
    sla_ms: Positive
    late: bool = False
    """The request reached the rendezvous after its own deadline; it was answered all the same."""
    schedule_version: Text = ""
    cohort: Text = ""
    """The model that this request preferred by roll-out or by lot (`[rollout]`, `[random]`); else empty."""
    propensity: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Chance that the preferred model was preferred, where the schedule draws it by lot (`[random]`)."""
    models: list[ModelOutcome] = field(default_factory=list)
    tags: dict[str, Text] = field(default_factory=dict)
    input: Input | None = None
    """The question again, so that a subscriber to results alone can show the picture."""


class Receipt(_Header, tag_field="schema", tag="roost.receipt/1", frozen=True, kw_only=True):
    """The decoy has this input safely in its archive."""

    request_id: Id
    saw: Digest
    duplicate: bool = False


class ScheduleSet(_Header, tag_field="schema", tag="roost.schedule/1", frozen=True, kw_only=True):
    """A task's schedule; retained, effective for the next request."""

    task: Name
    version: Text
    schedule: JsonObject
    author: Text = ""
    why: Text = ""


class ModelState(_Header, tag_field="schema", tag="roost.model-state/1", frozen=True, kw_only=True):
    """A scaffold's state; retained, and its last will says `gone`."""

    model: Name
    version: Text = ""
    bundle: Digest | None = None
    state: Literal["starting", "warming", "ready", "failed", "stopped", "gone"]
    session: Count
    replica: Count = 0
    """0 for a model with one process; else which of its replicas speaks, from 1."""
    runtime: Text = ""
    detail: Text = ""
    counts: dict[str, Count] = field(default_factory=dict)
    """Answered, declined by reason, batches … since the process started."""


class RoleState(_Header, tag_field="schema", tag="roost.role/1", frozen=True, kw_only=True):
    """State of a process that is not a model (capture, injector, rendezvous, decoy, alerts); retained."""

    role: Name
    state: Literal["starting", "ready", "failed", "stopped", "gone"]
    session: Count
    version: Text = ""
    detail: Text = ""
    counts: dict[str, Count] = field(default_factory=dict)


class InjectedValue(_Struct, frozen=True, kw_only=True):
    """One value of external state, as a request would be given it at the message's timestamp."""

    value: Any = None
    """Left out when a request would be given nothing under this name."""
    condition: Literal["fresh", "stale", "missing"]
    age_ms: Millis | None = None
    source: Text = ""
    problem: Text = ""
    """Why the last reading failed."""


class InjectedState(_Header, tag_field="schema", tag="roost.state/1", frozen=True, kw_only=True):
    """What the state injector of a task would add to a request now; retained."""

    task: Name
    role: Name
    values: dict[str, InjectedValue] = field(default_factory=dict)


class Availability(_Header, tag_field="schema", tag="roost.availability/1", frozen=True, kw_only=True):
    """Whether a device is there; retained, and its last will says `offline`."""

    state: Literal["online", "offline"]
    session: Count


class Info(_Header, tag_field="schema", tag="roost.info/1", frozen=True, kw_only=True):
    """What a device is: versions, tasks, cameras; retained."""

    node: Name
    version: Text
    tasks: list[Name] = field(default_factory=list)
    cameras: list[Name] = field(default_factory=list)
    models: dict[str, Text] = field(default_factory=dict)
    system: dict[str, Text] = field(default_factory=dict)


class Event(_Header, tag_field="schema", tag="roost.event/1", frozen=True, kw_only=True):
    """Something an operator may want to know: a schedule replaced or refused, an override refused …"""

    kind: Name
    detail: Text = ""
    data: JsonObject = field(default_factory=dict)


class Motion(_Header, tag_field="schema", tag="roost.motion/1", frozen=True, kw_only=True):
    """Whether something moves before a camera; retained."""

    camera: Name
    state: Literal["on", "off"]
    event_id: Id | None = None
    area: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the picture that the largest moving blob covers."""


class Alert(_Header, tag_field="schema", tag="roost.alert/1", frozen=True, kw_only=True):
    """One sighting as people think of it: it begins, it goes on, it ends."""

    type: Literal["new", "update", "end"]
    alert_id: Id
    camera: Name
    task: Name
    label: Label
    score: float | None = None
    requests: Positive = 1
    """How many results speak of this sighting so far."""
    started_at: Millis
    last_at: Millis
    request_id: Id | None = None
    """The best result so far."""
    frame: FrameRef | None = None


class Snapshot(_Header, tag_field="schema", tag="roost.snapshot/1", frozen=True, kw_only=True):
    """A small picture of a camera's newest sighting; retained. JSON, so that terminals stay readable."""

    camera: Name
    label: Label
    request_id: Id
    media_type: Text = "image/jpeg"
    picture: Annotated[str, Meta(max_length=90_000, description="base64, without EXIF")]


class Token(_Header, tag_field="schema", tag="roost.token/1", frozen=True, kw_only=True):
    """A mark in the stream of requests by which a running process hands over to its successor (the book's ch. 6).

    Put on `raw`, passed on to `input` by the injector and to its scores topic by each model, in line with the
    requests. `snapshot`: `old` writes what it knows into `location`. `transition`: requests behind it are `new`'s.
    """

    kind: Literal["snapshot", "transition"]
    component: Literal["injector", "rendezvous"]
    handover_id: Id
    old: Name
    """Role name of the process that hands over."""
    new: Name
    """Role name of its successor."""
    location: Text = ""
    """Folder of the snapshot, on the device."""


class Span(_Struct, frozen=True, kw_only=True):
    """One step of one component: when it began and how long it took."""

    name: Label
    start_ns: Count
    """Monotonic clock of the trace's `boot`."""
    duration_ns: Count
    attributes: dict[str, Text] = field(default_factory=dict)


class Trace(_Header, tag_field="schema", tag="roost.trace/1", frozen=True, kw_only=True):
    """What one component did for one request, step by step (Dapper-style spans; the book's ch. 7)."""

    request_id: Id
    component: Label
    boot: Id
    spans: Annotated[list[Span], Meta(min_length=1, max_length=64)]


class DeadLetter(_Header, tag_field="schema", tag="roost.deadletter/1", frozen=True, kw_only=True):
    """A message that could not be used, with the reason; nothing crashed for it."""

    topic: Topic
    reason: Text
    reader: Label
    size: Count
    head: Annotated[str, Meta(max_length=4_000)] = ""
    """The first 3,000 bytes at most, base64."""


Message: TypeAlias = (
    Request
    | Score
    | Declined
    | Result
    | Receipt
    | ScheduleSet
    | ModelState
    | RoleState
    | InjectedState
    | Availability
    | Info
    | Event
    | Motion
    | Alert
    | Snapshot
    | Token
    | Trace
    | DeadLetter
)
MESSAGE_TYPES: tuple[type[Struct], ...] = (
    Request,
    Score,
    Declined,
    Result,
    Receipt,
    ScheduleSet,
    ModelState,
    RoleState,
    InjectedState,
    Availability,
    Info,
    Event,
    Motion,
    Alert,
    Snapshot,
    Token,
    Trace,
    DeadLetter,
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Bytes for the wire. A message over `MAX_BYTES` is a caller's error and raises `Malformed`."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_BYTES:
        raise Malformed(
            f"A {type(message).__name__} of {len(payload)} bytes is over the limit of {MAX_BYTES}.",
            "Send large inputs by reference (input.frame), not inline.",
        )
    return payload


def decode(payload: bytes | bytearray | memoryview) -> Message:
    """Read one message. Raises `Malformed` with the reason; never anything else.

    Whatever bytes arrive: bounded in size before parsing and in depth before building.
    """
    if len(payload) > MAX_BYTES:
        raise Malformed(f"{len(payload)} bytes are over the limit of {MAX_BYTES}.")
    if depth(payload, MAX_DEPTH) > MAX_DEPTH:
        raise Malformed(f"Nested deeper than {MAX_DEPTH} levels.")
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a Roost message: {error}.") from error


def with_fields(payload: bytes, **fields: object) -> bytes:
    """The same JSON object with some top-level fields replaced, unknown fields kept.

    Keys are wire names (`messageId`); values are anything msgspec can encode.
    """
    loose = cast("dict[str, Any]", msgspec.json.decode(payload))
    loose.update(fields)
    return _encoder.encode(loose)
