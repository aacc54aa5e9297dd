"""How much a reader of the registry takes from anybody, and how long it waits (settings, with units)."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]
Bytes: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000_000)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every ceiling of a reader."""

    connect_s: Seconds = 10.0
    stall_s: Seconds = 30.0
    """A server that sends nothing at all for so long is given up."""
    patience_s: Seconds = 60.0
    """A whole answer may take so long, and beyond it as long as `least_bytes_per_s` allows for its length."""
    least_bytes_per_s: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 200
    """A server that drips slower than this is given up. Well below any usable radio link."""
    root_bytes: Bytes = 512_000
    timestamp_bytes: Bytes = 16_384
    snapshot_bytes: Bytes = 2_000_000
    targets_bytes: Bytes = 5_000_000
    """The metadata of one role that signs bundles or roll-outs: some 10,000 entries."""
    document_bytes: Bytes = 2_000_000
    """One manifest or roll-out document."""
    bundle_bytes: Bytes = 512_000_000
    """All files of one bundle."""
    reserve_bytes: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 64_000_000
    """So much stays free on the disk."""
    root_rotations: Annotated[int, Meta(ge=1, le=1024)] = 256
    """So many new roots are followed in one go: a device that was off for years."""
    delegations: Annotated[int, Meta(ge=1, le=1024)] = 256
    kept_documents: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Manifests and roll-out documents kept in the cache."""

    def __post_init__(self) -> None:
        """msgspec checks only what it decodes; a value that code makes is checked here."""
        if self.stall_s > self.patience_s:
            raise ValueError("stall_s is never more than patience_s")
