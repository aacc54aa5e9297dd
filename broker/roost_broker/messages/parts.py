"""What messages are made of: bounded names and numbers, and the fields that all have in common."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, field

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


class Part(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """How every struct on the wire behaves: camelCase names, defaults left out, values that do not change."""


class Hop(Part, frozen=True, kw_only=True):
    """One processing element that touched a message."""

    node: Name
    component: Label
    version: Text = ""
    at: Millis = 0
    """Wall clock in milliseconds."""


class Provenance(Part, frozen=True, kw_only=True):
    """Where a message has been; kept short unless `diagnostics.trace` asks for more."""

    path: Annotated[list[Hop], Meta(max_length=32)] = field(default_factory=list)
    trace_parent: Text | None = None
    overrides: Annotated[list[Text], Meta(max_length=16)] = field(default_factory=list)
    """What `diagnostics` changed for this request: its own schedule, faults, a forced trace."""


class Diagnostics(Part, frozen=True, kw_only=True):
    """Flags that override the environment for one request; honoured only where settings say QA."""

    trace: bool = False
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    schedule: JsonObject | None = None
    """A whole schedule for this request alone (see `roost_rendezvous.schedule`)."""
    faults: Annotated[list[JsonObject], Meta(max_length=16)] = field(default_factory=list)


class Header(Part, frozen=True, kw_only=True):
    """The fields that all messages have in common."""

    timestamp: Millis
    message_id: Id
    provenance: Provenance = field(default_factory=Provenance)
    diagnostics: Diagnostics | None = None


class FrameRef(Part, frozen=True, kw_only=True):
    """A frame by reference: the content hash is its identity, the path a hint where to look."""

    sha256: Digest
    bytes: Count
    path: Text
    width: Annotated[int, Meta(ge=1, le=65_535)]
    height: Annotated[int, Meta(ge=1, le=65_535)]
    media_type: Text = "image/jpeg"
