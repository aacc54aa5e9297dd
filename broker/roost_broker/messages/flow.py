"""The rendezvous flow: requests, scores, results, and what travels in line with them."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from roost_broker.messages.parts import (
    Count,
    Digest,
    FrameRef,
    Header,
    Id,
    JsonObject,
    Label,
    Millis,
    Name,
    Part,
    Positive,
    Text,
    Topic,
)


class Input(Part, frozen=True, kw_only=True):
    """What the models are asked about: a frame by reference, a small one inline, or plain values."""

    frame: FrameRef | None = None
    inline: Annotated[str, Meta(max_length=90_000, description="base64 of a small JPEG or PNG")] | None = None
    values: JsonObject | None = None


class Issued(Part, frozen=True, kw_only=True):
    """Order and age on the issuing device, safe against clock steps.

    `monotonic_ns` may be compared only by processes of the same `boot`.
    """

    boot: Id
    seq: Count
    monotonic_ns: Count
    attempt: Positive = 1
    clock: Literal["synced", "unsynced"] = "synced"


class Request(Header, tag_field="schema", tag="roost.request/1", frozen=True, kw_only=True):
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


class Output(Part, frozen=True, kw_only=True):
    """One label with its score."""

    label: Label
    score: float


class Score(Header, tag_field="schema", tag="roost.score/1", frozen=True, kw_only=True):
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


class Declined(Header, tag_field="schema", tag="roost.declined/1", frozen=True, kw_only=True):
    """A model will not answer this request; nobody need wait for it."""

    request_id: Id
    model: Name
    version: Text
    reason: DeclineReason
    """`not-sampled`: the schedule asks this model for a share of the requests only (`[sample]`)."""
    detail: Text = ""
    saw: Digest | None = None


class ModelOutcome(Part, frozen=True, kw_only=True):
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


class Answer(Part, frozen=True, kw_only=True):
    """The official classification: which model said it, and its outputs best first."""

    model: Name
    version: Text
    label: Label
    score: float
    outputs: Annotated[list[Output], Meta(max_length=1000)] = field(default_factory=list)


class DefaultAnswer(Part, frozen=True, kw_only=True):
    """No model answered in time. This is the schedule's safe constant, not a classification."""

    label: Label
    reason: Text


class Result(Header, tag_field="schema", tag="roost.result/1", frozen=True, kw_only=True):
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


class Receipt(Header, tag_field="schema", tag="roost.receipt/1", frozen=True, kw_only=True):
    """The decoy has this input safely in its archive."""

    request_id: Id
    saw: Digest
    duplicate: bool = False


class ScheduleSet(Header, tag_field="schema", tag="roost.schedule/1", frozen=True, kw_only=True):
    """A task's schedule; retained, effective for the next request."""

    task: Name
    version: Text
    schedule: JsonObject
    author: Text = ""
    why: Text = ""


class Token(Header, tag_field="schema", tag="roost.token/1", frozen=True, kw_only=True):
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


class Span(Part, frozen=True, kw_only=True):
    """One step of one component: when it began and how long it took."""

    name: Label
    start_ns: Count
    """Monotonic clock of the trace's `boot`."""
    duration_ns: Count
    attributes: dict[str, Text] = field(default_factory=dict)


class Trace(Header, tag_field="schema", tag="roost.trace/1", frozen=True, kw_only=True):
    """What one component did for one request, step by step (Dapper-style spans; the book's ch. 7)."""

    request_id: Id
    component: Label
    boot: Id
    spans: Annotated[list[Span], Meta(min_length=1, max_length=64)]
