"""What a kept sketch is about: one combination of qualifiers, and a wish that matches some of them. Pure."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches import latency_wire, wire
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram

Sketch: TypeAlias = TDigest | LatencyHistogram

PERIOD_S = 600
"""Ten minutes, as the book says; counted from 1970 in UTC, so no zone and no summer time moves a period."""
DAY_S = 86_400
MAX_LENGTH = 120
"""Characters of one qualifier; longer ones are cut."""
OTHER = "(other)"
"""Stands for combinations beyond the bound, so that their values still count in wider questions."""


class Qualifiers(msgspec.Struct, frozen=True, kw_only=True, order=True, omit_defaults=True):
    """One combination. `kind` says what is measured and is never mixed: `score`, `latency`, `compute`, …"""

    task: str
    kind: str
    model: str = ""
    version: str = ""
    label: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    """Name and value, in the order of names; `qualifiers` makes them from a mapping."""

    @property
    def name(self) -> str:
        """For people: `henhouse/score/champion/hen camera=nest`."""
        path = "/".join(part for part in (self.task, self.kind, self.model, self.version, self.label) if part)
        return " ".join([path, *(f"{name}={value}" for name, value in self.tags)])


def qualifiers(
    task: str, kind: str, *, model: str = "", version: str = "", label: str = "", tags: Mapping[str, str] | None = None
) -> Qualifiers:
    """A combination with its tags in order and nothing longer than `MAX_LENGTH`."""
    pairs = tuple(sorted((_cut(name), _cut(value)) for name, value in (tags or {}).items()))
    return Qualifiers(
        task=_cut(task), kind=_cut(kind), model=_cut(model), version=_cut(version), label=_cut(label), tags=pairs
    )


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which combinations: None leaves a qualifier open; each tag given must be there with this value."""

    kind: str
    task: str | None = None
    model: str | None = None
    version: str | None = None
    label: str | None = None
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)

    def matches(self, one: Qualifiers) -> bool:
        """Whether this combination is wanted."""
        return (
            self.kind == one.kind
            and self.task in (None, one.task)
            and self.model in (None, one.model)
            and self.version in (None, one.version)
            and self.label in (None, one.label)
            and all(pair in one.tags for pair in self.tags.items())
        )


def other(one: Qualifiers) -> Qualifiers:
    """Where a combination beyond the bound is counted: its task and kind are kept."""
    return Qualifiers(task=one.task, kind=one.kind, model=OTHER)


def period_of(at_ns: int) -> int:
    """Start of the period of a moment, both since 1970; the start in seconds."""
    return at_ns // (PERIOD_S * 1_000_000_000) * PERIOD_S


def to_bytes(sketch: Sketch) -> bytes:
    """The compact form of either sketch; its first byte says which."""
    return wire.to_bytes(sketch) if isinstance(sketch, TDigest) else latency_wire.to_bytes(sketch)


def from_bytes(data: bytes) -> Sketch:
    """The sketch again. Raises `PeerError`."""
    if data[:1] == bytes([latency_wire.FORM]):
        return latency_wire.from_bytes(data)
    return wire.from_bytes(data)


def merged(sketches: Iterable[Sketch]) -> Sketch | None:
    """All in one; None without any. Raises `PeerError` when they are of two sorts."""
    parts = list(sketches)
    digests = [one for one in parts if isinstance(one, TDigest)]
    if len(digests) == len(parts):
        return TDigest.merged(digests) if parts else None
    histograms = [one for one in parts if isinstance(one, LatencyHistogram)]
    if len(histograms) != len(parts):
        raise PeerError("A t-digest and a latency histogram cannot be one.", "Ask for one kind of measurement.")
    return LatencyHistogram.merged(histograms)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
