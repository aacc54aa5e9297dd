"""What the agent and its registry process say to each other: one JSON line each way, and lines of progress between."""

from typing import TypeAlias

from msgspec import Struct

from roost_models.registry.limits import Limits
from roost_models.rollout.document import Rollout


class Where(Struct, frozen=True, kw_only=True):
    """Where the registry is, and what is trusted of it."""

    places: tuple[str, ...]
    """The registry, then sticks; each is an address or a folder. The first that works and is newest counts."""
    root: str
    cache: str
    ca_file: str = ""
    limits: Limits


class Look(Struct, frozen=True, kw_only=True, tag="look"):
    """What is wanted of these lines: pairs of task and bundle."""

    where: Where
    lines: tuple[tuple[str, str], ...]


class FetchBundle(Struct, frozen=True, kw_only=True, tag="fetch"):
    """Bring one bundle into the store."""

    where: Where
    task: str
    name: str
    version: str
    digest: str
    store: str
    held: dict[str, str]
    """Files that lie elsewhere on this device, by SHA-256."""
    bytes_per_s: int = 0


Wish: TypeAlias = Look | FetchBundle


class Seen(Struct, frozen=True, kw_only=True, tag="seen"):
    """The documents, by the pairs that were asked about; a line without one is left out."""

    place: str
    documents: tuple[tuple[str, str, Rollout], ...]
    problems: tuple[str, ...] = ()
    """Lines whose document makes no sense, and why."""


class Moved(Struct, frozen=True, kw_only=True, tag="moved"):
    """Bytes so far."""

    done: int
    total: int


class Brought(Struct, frozen=True, kw_only=True, tag="brought"):
    """The bundle is in the store, whole."""


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """Neither, and why: `reason` is that of `RegistryRefused`, `unreachable`, `no-room` or `broken`."""

    reason: str
    problem: str


Word: TypeAlias = Seen | Moved | Brought | Failed
