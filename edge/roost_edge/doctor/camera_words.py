"""What the process that tries a camera says."""

from typing import TypeAlias

from msgspec import Struct


class Seen(Struct, tag=True, frozen=True):
    """A frame came."""

    width: int
    height: int
    ms: float
    """From opening to the frame."""
    spread: float
    """Standard deviation of the brightness; 0 for one even colour."""
    title: str
    """The source, without credentials."""


class Failed(Struct, tag=True, frozen=True):
    """None came, and the source said why."""

    problem: str
    remedy: str


Word: TypeAlias = Seen | Failed
