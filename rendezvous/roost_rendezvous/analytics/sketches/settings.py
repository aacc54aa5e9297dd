"""Settings of the store of sketches, validated when made. Light, for every role reads it."""

from msgspec import Struct


class SketchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is kept. A value that cannot be raises ValueError."""

    keep_days: int = 35
    """Ten-minute sketches, in days: a month and a little, what alarms take as their history."""
    keep_rollup_days: int = 400
    """Day sketches: a year and a little."""
    store_bytes: int = 128_000_000
    """The file at most; beyond it the oldest ten-minute sketches go first, then the oldest days."""
    max_combinations: int = 5_000
    """Combinations of qualifiers that the file knows; further ones are counted together."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("keep_days", 2, 3_650),
            ("keep_rollup_days", 2, 36_500),
            ("store_bytes", 1_000_000, 1_000_000_000_000),
            ("max_combinations", 1, 1_000_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")
