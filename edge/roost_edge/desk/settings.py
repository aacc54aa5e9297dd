"""Settings of the desk; light, because every role reads the settings file."""

from msgspec import Struct


class DeskSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the desk works on a question, and how many it takes."""

    doctor_timeout_s: int = 120
    """When an examination takes longer, the answer has what was found until then, and names what is missing.

    More than the 120 s stretches the limits of the single checks likewise: for a device that is slow, not broken."""
    max_waiting: int = 16
    """Questions that wait for the same examination; whoever comes after them is told that the desk is busy."""

    def __post_init__(self) -> None:
        for field, low, high in (("doctor_timeout_s", 10, 3_600), ("max_waiting", 1, 1_000)):
            value = getattr(self, field)
            if not low <= value <= high:
                raise ValueError(f"{field} = {value} is not between {low} and {high}")
