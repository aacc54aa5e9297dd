"""Settings of the archive. In a module of their own, so that whoever only reads settings loads no database code."""

from msgspec import Struct

MB = 1_000_000


class ArchiveSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the archive may keep, and in what portions it works."""

    budget_mb: float = 1_000
    """Bytes of frames kept, in millions. Beyond it frames go, fairly between their labels; records never go."""
    floor_frames: int = 50
    """The newest frames of each label that are kept, however many frames other labels have."""
    low_water: float = 0.98
    """Share of the budget that is left after frames were removed, so that not every frame removes one."""
    slice_frames: int = 200
    """Frames removed in one go at most: bounds how long a receipt may have to wait for the house-keeping."""
    variants_per_request: int = 16
    """Further versions of one input (re-published with another attempt number) that are kept at most."""

    def __post_init__(self) -> None:
        if not 0 < self.budget_mb <= 10**9:  # TOML knows `inf`
            raise ValueError("budget_mb must be above 0 and at most 10**9; it is millions of bytes of frames kept")
        if not 0 <= self.floor_frames <= 1_000_000:
            raise ValueError("floor_frames must be 0 to 1000000; it counts frames of each label")
        if not 0 < self.low_water <= 1:
            raise ValueError("low_water must be above 0 and at most 1; it is a share of the budget")
        if not 1 <= self.slice_frames <= 10_000:
            raise ValueError("slice_frames must be 1 to 10000")
        if not 0 <= self.variants_per_request <= 1_000:
            raise ValueError("variants_per_request must be 0 to 1000")

    @property
    def budget_bytes(self) -> int:
        """The budget in bytes."""
        return int(self.budget_mb * MB)
