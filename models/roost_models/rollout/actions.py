"""What a roll-out's controller is told, and what it has others do: values. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_models.rollout.document import BundleRef, Rollout
from roost_models.rollout.evidence import DeviceReport
from roost_models.rollout.gates import Gate
from roost_models.rollout.lifecycle import Phase
from roost_models.rollout.progress import Progress

Do: TypeAlias = Literal["start", "pause", "resume", "abort"]


@dataclass(frozen=True, slots=True)
class Command:
    """Somebody wants something."""

    do: Do
    author: str
    why: str = ""


Event: TypeAlias = DeviceReport | Command

# -- actions


@dataclass(frozen=True, slots=True)
class Keep:
    """Write this to the disk before anything that follows it."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class SetDocument:
    """Sign and publish; then let the devices know."""

    document: Rollout


@dataclass(frozen=True, slots=True)
class Mark:
    """Leave a marker: from now on something is different (L7)."""

    kind: str
    text: str
    step: int
    shadow: float
    serving: float
    number: int = 0
    """Generation of the document that it goes with: no two markers of a roll-out have the same."""


@dataclass(frozen=True, slots=True)
class Move:
    """A bundle goes to another phase of its life; without `to`, its history gets an entry."""

    bundle: BundleRef
    to: Phase | None
    why: str
    event: str
    """What of the roll-out this follows from; each happens to a bundle once in a roll-out."""


@dataclass(frozen=True, slots=True)
class Say:
    """A sentence for whoever watches."""

    text: str


@dataclass(frozen=True, slots=True)
class Halted:
    """It stopped by itself."""

    reason: str
    gate: Gate


@dataclass(frozen=True, slots=True)
class Ignored:
    """A report or an order that changes nothing, by name."""

    outcome: str
    what: str


Action: TypeAlias = Keep | SetDocument | Mark | Move | Say | Halted | Ignored
