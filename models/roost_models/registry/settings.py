"""What a registry was set up with: how long signatures last, and how much of the past is kept (JSON, beside it)."""

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed
from roost_models.registry import layout

Days: TypeAlias = Annotated[int, Meta(ge=1, le=3650)]


class Validity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days for which a signature of a role holds. What is signed by hand lasts long, what a timer signs does not."""

    root: Days = 365
    targets: Days = 365
    tasks: Days = 365
    """Every role that signs the bundles of a task."""
    rollouts: Days = 30
    snapshot: Days = 14
    timestamp: Days = 7
    """So long at most can somebody between registry and device hide that there is anything new; and so long the centre,
    or the one who carries the stick, may rest."""

    def days(self, role: str) -> int:
        """For a role by its name in the registry."""
        if layout.task_of(role) is not None:
            return self.tasks
        known = (layout.ROOT, layout.TARGETS, layout.ROLLOUTS, layout.SNAPSHOT, layout.TIMESTAMP)
        return int(getattr(self, role)) if role in known else self.tasks


class RegistrySettings(Struct, tag_field="schema", tag="roost.registry/1", frozen=True, kw_only=True):
    """See the module."""

    validity: Validity = field(default_factory=Validity)
    kept: Annotated[int, Meta(ge=2, le=10_000)] = 20
    """Superseded metadata and roll-out documents that stay, for readers that are half-way through an older state."""


def load(path: Path) -> RegistrySettings:
    """Read them. Raises `Malformed`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RegistrySettings)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{path} cannot be read: {error}.", "Correct it, or restore it from a backup.") from error


def save(path: Path, settings: RegistrySettings) -> None:
    """Write them, durably."""
    write_durably(path, msgspec.json.format(msgspec.json.encode(settings), indent=1) + b"\n")
