"""Bounds of a scaffold that are not the bundle's affair."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from roost_models.bundle.folder import Bundle


class ScaffoldSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in milliseconds."""

    state_interval_ms: int = 3000
    """How often counts are published when they have changed; a third as often when not (memory and CPU change too)."""
    max_evaluation_ms: int = 120_000
    """An evaluation that lasts longer will never end: the process gives up and is started afresh."""
    remembered: int = 1000
    """Answers kept for requests that are delivered again."""
    qa: bool = False
    """Whether faults asked for in a request's diagnostics are honoured."""

    def __post_init__(self) -> None:
        if not 10 <= self.state_interval_ms <= 3_600_000:
            raise ValueError("state_interval_ms is between 10 and 3600000")
        if not 100 <= self.max_evaluation_ms <= 3_600_000:
            raise ValueError("max_evaluation_ms is between 100 and 3600000")
        if not 1 <= self.remembered <= 100_000:
            raise ValueError("remembered is between 1 and 100000")


def receive_maximum(bundle: "Bundle") -> int:
    """Unacknowledged inputs a scaffold's bus must allow: with fewer the newest would wait unseen in the broker."""
    return bundle.manifest.queue.max_waiting + 2 * bundle.manifest.batch.sizes[-1] + 64
