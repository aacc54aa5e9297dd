"""What the feed keeps of a post, and what a turn of the role wants kept: values."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from roost_edge.feed.sightings import Key, Sighting

State: TypeAlias = Literal["waiting", "posted", "dropped"]
"""`posted` in a dry run means: written down."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A post that is about to be kept."""

    request_id: str
    sighting_id: str
    ordinal: int
    task: str
    camera: str
    label: str
    text: str
    alt: str
    picture: bytes
    """JPEG without anything but its pixels."""
    frame: str
    """Content hash of the frame as captured."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """A post as it is kept."""

    seq: int
    request_id: str
    sighting_id: str
    ordinal: int
    task: str
    camera: str
    label: str
    text: str
    alt: str
    frame: str
    at_ms: int
    state: State
    reason: str
    """Why it was dropped, or what the service said last."""
    service_id: str
    mode: str
    """Where it was posted to: `service`, `dry-run`; empty while it waits."""
    attempts: int
    unsure: bool
    """An attempt may have worked without our knowing."""
    age_s: float


@dataclass(slots=True)
class Changes:
    """What one turn of the role wants kept, in one transaction."""

    drafts: list[Draft] = field(default_factory=list)
    save: dict[Key, Sighting | None] = field(default_factory=dict)
    """None: forget it."""
    remember: list[str] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)
    """Labels, with their task, that no result had before: an answer of a person is read with them."""

    def __bool__(self) -> bool:
        return bool(self.drafts or self.save or self.remember or self.heard)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier process left of the core's memory."""

    sightings: tuple[Sighting, ...]
    remembered: tuple[str, ...]
    same_boot: bool
    heard: frozenset[tuple[str, str]]
