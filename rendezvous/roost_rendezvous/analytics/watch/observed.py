"""What the watch keeps of a message: small plain values that can wait on the card and be handled again. Pure.

Handling the same observations in the same order gives the same state. That is how a monitor that was killed comes
back: its last save, and what was observed since (`journal`).
"""

from typing import TypeAlias

import msgspec

Plain: TypeAlias = float | str | bool


class Asked(msgspec.Struct, frozen=True, array_like=True, tag="asked", gc=False):
    """A request as every model sees it."""

    heard: int
    """Steady nanoseconds (`steady`), as with all observations."""
    message_id: str
    task: str
    request_id: str
    at: int
    """When it was issued, wall clock, nanoseconds."""
    saw: str
    """SHA-256 of its bytes; what an honest model says that it saw."""
    issued_ago: int
    """Nanoseconds from issue to hearing, by the boot's own clock; -1: of another boot."""
    deadline_ms: int
    attempt: int
    tags: dict[str, str]
    input: dict[str, Plain]
    state: dict[str, Plain | None]
    state_age_ms: dict[str, int] = {}


class Said(msgspec.Struct, frozen=True, array_like=True, tag="said", gc=False):
    """A model's answer, or its refusal (`reason`)."""

    heard: int
    message_id: str
    task: str
    request_id: str
    at: int
    """When the model said it, wall clock."""
    model: str
    version: str
    scores: dict[str, float]
    compute_ms: float
    batch: int
    reason: str
    saw: str


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one model had done when the result was decided."""

    model: str
    version: str
    status: str
    elapsed_ms: float | None
    reason: str
    ignored: bool


class Decided(msgspec.Struct, frozen=True, array_like=True, tag="decided", gc=False):
    """The official result."""

    heard: int
    message_id: str
    task: str
    request_id: str
    at: int
    model: str
    label: str
    score: float | None
    cause: str
    elapsed_ms: float
    sla_ms: int
    late: bool
    cohort: str
    propensity: float | None
    schedule: str
    models: tuple[Told, ...]
    tags: dict[str, str]


class Traced(msgspec.Struct, frozen=True, array_like=True, tag="traced", gc=False):
    """How long one component took for the steps of one traced request."""

    heard: int
    message_id: str
    task: str
    request_id: str
    component: str
    steps: dict[str, float]
    """Milliseconds by step."""


class Standing(msgspec.Struct, frozen=True, array_like=True, tag="standing", gc=False):
    """How a model's process or a role stands. `task` is empty for roles."""

    heard: int
    message_id: str
    task: str
    name: str
    state: str
    version: str
    session: int
    memory_bytes: int
    cpu_ms: int
    """-1: not told."""
    replica: int = 0
    """Of a model with several processes, from 1."""
    linked: int = -1
    """How often the gateway's link to the centre came up since the session began; -1: not a gateway."""
    waits_ms: int = -1
    """Age of the oldest message that waits for that link; -1: not a gateway."""


class Marked(msgspec.Struct, frozen=True, array_like=True, tag="marked", gc=False):
    """Something was changed on purpose: a schedule, a bundle, a phase. Readings around it are read in its light."""

    heard: int
    message_id: str
    task: str
    model: str
    text: str


class RanOn(msgspec.Struct, frozen=True, array_like=True, tag="ran-on", gc=False):
    """A model computed for so long after the answer had been given (the book, ch. 7, fig. 7-6)."""

    heard: int
    message_id: str
    task: str
    model: str
    ms: float


class Resumed(msgspec.Struct, frozen=True, array_like=True, tag="resumed", gc=False):
    """The device was off, or the clock was set: for so long nobody watched, and nothing could happen."""

    heard: int
    away: int
    """Nanoseconds that no detector may take for silence."""


class Stepped(msgspec.Struct, frozen=True, array_like=True, tag="clock", gc=False):
    """The wall clock was set by so much against the machine's own."""

    heard: int
    by: int


class Passed(msgspec.Struct, frozen=True, array_like=True, tag="passed", gc=False):
    """Nothing else happened until then: looks are due, and requests settle."""

    heard: int


class Acknowledged(msgspec.Struct, frozen=True, array_like=True, tag="acknowledged", gc=False):
    """A person knows of an alarm: what is now, is the new normal."""

    heard: int
    alarm: str
    by: str


Observed: TypeAlias = (
    Asked | Said | Decided | Traced | Standing | Marked | RanOn | Resumed | Stepped | Passed | Acknowledged
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Observed] = msgspec.msgpack.Decoder(Observed)


def pack(one: Observed) -> bytes:
    """For the journal."""
    return _encoder.encode(one)


def unpack(data: bytes) -> Observed:
    """From the journal. Raises `msgspec.DecodeError`: another version wrote it, or the card is bad."""
    return _decoder.decode(data)
