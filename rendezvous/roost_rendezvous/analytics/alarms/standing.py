"""How everything stands: every signal with how strange it is, and what the budget is. Values for people and pages."""

from typing import Literal, TypeAlias

import msgspec

from roost_rendezvous.analytics.reading import Kind, Side, Subject

Watch: TypeAlias = Literal["watched", "silent", "not-enough-history"]
"""`silent`: known well enough, but it has not said anything for `hold_minutes`."""


class SignalStanding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signal now."""

    signal: str
    task: str = ""
    kind: Kind
    subject: Subject
    of: str = ""
    part: str = ""
    side: Side = "data"
    watch: Watch = "watched"
    why_not: str = ""
    """Why it cannot page, e.g. `not enough history: 2.1 of 7 days`."""
    nines: float | None = None
    """Log-odds of its last reading; None: not known."""
    lasting: float | None = None
    """Mean urgency over the last hour; 0.3 is usual."""
    episode: str = ""
    """The open episode that it is part of."""
    at: int = 0
    """Nanoseconds, wall clock: its last reading."""
    normal: float | None = None
    now: float | None = None
    unit: str = ""
    sentence: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alarms as a whole."""

    at: int
    budget_per_week: float
    watched_days: float
    """How long the composite was watched; fades as histories do."""
    ready: bool
    """Whether it may page at all."""
    why_not: str = ""
    opened_last_week: int = 0
    opened_last_four_weeks: int = 0
    factors: int = 0
    """Common factors that are taken away at present."""
    left_out: int = 0
    """Readings that were not taken: of signals beyond the bound, or no numbers."""
    signals: tuple[SignalStanding, ...] = ()
    """Strangest first, then those that cannot page."""
