"""What systemd is to do on this device beside running the roles. The section `[units]` of a settings file."""

from typing import Literal

from msgspec import Struct


class UnitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read by `roost units apply`; a change counts from the next one on."""

    hardware_watchdog_s: int = 15
    """The board restarts itself when even systemd has been silent for so long; 0: it does not. A Pi counts to 15 at
    most, and silently does without a watchdog for more."""
    journal: Literal["volatile", "persistent", "as-it-is"] = "volatile"
    """Where the journal is: in memory, which spares the card and is empty after a restart; on the card; untouched."""
    journal_mb: int = 24
    """Its most, of memory or of the card."""

    def __post_init__(self) -> None:
        if not 0 <= self.hardware_watchdog_s <= 15:
            raise ValueError("hardware_watchdog_s is between 0 (off) and 15, which is as far as a Pi counts")
        if not 4 <= self.journal_mb <= 4_096:
            raise ValueError("journal_mb is between 4 and 4096")
