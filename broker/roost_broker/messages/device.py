"""What a device says of itself: states of its roles and models, motion, sightings, what could not be read."""

from typing import Annotated, Any, Literal

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


class Usage(Part, frozen=True, kw_only=True):
    """What a process costs its device."""

    cpu_ms: Count
    """Processor time since it began, all threads."""
    memory_bytes: Count
    """Its own pages and its share of those that it shares with others (PSS); resident where that is not told."""


class ModelState(Header, tag_field="schema", tag="roost.model-state/1", frozen=True, kw_only=True):
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
    labels: dict[str, Count] = field(default_factory=dict)
    """Best labels given since the process started; the first 32 by name, what came beside them as `(others)`."""
    compute_p50_ms: Annotated[float, Meta(ge=0)] | None = None
    """Of the newest 256 answers."""
    compute_p99_ms: Annotated[float, Meta(ge=0)] | None = None
    usage: Usage | None = None


class RoleState(Header, tag_field="schema", tag="roost.role/1", frozen=True, kw_only=True):
    """State of a process that is not a model (capture, injector, rendezvous, decoy, alerts); retained."""

    role: Name
    state: Literal["starting", "ready", "failed", "stopped", "gone"]
    session: Count
    version: Text = ""
    detail: Text = ""
    counts: dict[str, Count] = field(default_factory=dict)
    usage: Usage | None = None


class InjectedValue(Part, frozen=True, kw_only=True):
    """One value of external state, as a request would be given it at the message's timestamp."""

    value: Any = None
    """Left out when a request would be given nothing under this name."""
    condition: Literal["fresh", "stale", "missing"]
    age_ms: Millis | None = None
    source: Text = ""
    problem: Text = ""
    """Why the last reading failed."""


class InjectedState(Header, tag_field="schema", tag="roost.state/1", frozen=True, kw_only=True):
    """What the state injector of a task would add to a request now; retained."""

    task: Name
    role: Name
    values: dict[str, InjectedValue] = field(default_factory=dict)


class Availability(Header, tag_field="schema", tag="roost.availability/1", frozen=True, kw_only=True):
    """Whether a device is there; retained, and its last will says `offline`."""

    state: Literal["online", "offline"]
    session: Count


class Info(Header, tag_field="schema", tag="roost.info/1", frozen=True, kw_only=True):
    """What a device is: versions, tasks, cameras; retained."""

    node: Name
    version: Text
    tasks: list[Name] = field(default_factory=list)
    cameras: list[Name] = field(default_factory=list)
    models: dict[str, Text] = field(default_factory=dict)
    system: dict[str, Text] = field(default_factory=dict)


class Event(Header, tag_field="schema", tag="roost.event/1", frozen=True, kw_only=True):
    """Something an operator may want to know: a schedule replaced or refused, an override refused …"""

    kind: Name
    detail: Text = ""
    data: JsonObject = field(default_factory=dict)


class Motion(Header, tag_field="schema", tag="roost.motion/1", frozen=True, kw_only=True):
    """Whether something moves before a camera; retained."""

    camera: Name
    state: Literal["on", "off"]
    event_id: Id | None = None
    area: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the picture that the largest moving blob covers."""
    zones: tuple[Name, ...] = ()
    """Of the camera's settings, in which it is."""


class Alert(Header, tag_field="schema", tag="roost.alert/1", frozen=True, kw_only=True):
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


class Snapshot(Header, tag_field="schema", tag="roost.snapshot/1", frozen=True, kw_only=True):
    """A small picture of a camera's newest sighting; retained. JSON, so that terminals stay readable."""

    camera: Name
    label: Label
    request_id: Id
    media_type: Text = "image/jpeg"
    picture: Annotated[str, Meta(max_length=90_000, description="base64, without EXIF")]


class DeadLetter(Header, tag_field="schema", tag="roost.deadletter/1", frozen=True, kw_only=True):
    """A message that could not be used, with the reason; nothing crashed for it."""

    topic: Topic
    reason: Text
    reader: Label
    size: Count
    head: Annotated[str, Meta(max_length=4_000)] = ""
    """The first 3,000 bytes at most, base64."""
