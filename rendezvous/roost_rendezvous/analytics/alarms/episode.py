"""The values that alarms give out: an episode, who contributed to it, and what was done on purpose meanwhile.

One change is one episode, however many monitors see it and however long it lasts. Light: no numpy behind this import.
"""

from typing import Literal, TypeAlias

import msgspec

from roost_rendezvous.analytics.reading import Kind, Side, Subject

Verdict: TypeAlias = Literal["model", "world", "camera", "clock", "link", "unknown"]
"""What changed, as far as it can be told from who moved and who did not."""

State: TypeAlias = Literal["open", "acknowledged", "ended"]
"""`acknowledged`: a person has said that this is the new normal, and it has not gone quiet yet."""

Ending: TypeAlias = Literal["", "calm", "new-normal"]
"""`calm`: all is as it was before; `new-normal`: it stayed, and counts as usual from now on."""

Step: TypeAlias = Literal["opened", "updated", "acknowledged", "ended"]


class Contribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signal's part in an episode, at the moment when it was strangest."""

    signal: str
    """Its name, e.g. `henhouse/score/champion/hen`."""
    task: str = ""
    kind: Kind
    subject: Subject
    of: str = ""
    part: str = ""
    side: Side = "data"
    nines: float
    """Base-10 log-odds of the quantile in the signal's own history: 3.0 is stranger than 999 of 1,000 readings."""
    beside_others: float | None = None
    """The same after what all signals do together was taken away; None where nothing is common to them."""
    share: float = 0.0
    """Of all urgency in this episode, from 0 to 1."""
    normal: float | None = None
    now: float | None = None
    unit: str = ""
    sentence: str = ""
    """For people: `hens were seen 0 times since 08:00, usually 14`."""
    since: int = 0
    """Nanoseconds, wall clock: when it began to be strange."""


class Marker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something done on purpose: a step of a roll-out, a new schedule, a camera turned (requirement L7)."""

    at: int
    """Nanoseconds, wall clock."""
    text: str
    """For people: `champion 4 answers 10 % (roll-out spring, step 2)`."""
    task: str = ""
    model: str = ""
    """The model it is about; `""` for none."""


class Episode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alarm from its beginning to its end."""

    id: str
    """Sixteen hex digits; a later episode has the larger id."""
    task: str = ""
    """Of the strangest signal; `""`: the device as a whole."""
    state: State = "open"
    opened: int
    """Nanoseconds, wall clock."""
    updated: int
    acknowledged: int | None = None
    acknowledged_by: str = ""
    ended: int | None = None
    ending: Ending = ""
    verdict: Verdict = "unknown"
    reasons: tuple[str, ...] = ()
    """Why the verdict is what it is, in sentences."""
    nines: float
    """Of the strangest signal, at its strangest."""
    per_week: float
    """How often a week, at its strangest, something as strange is to be expected while nothing is wrong."""
    how: str = ""
    """Which combination spoke: `one signal`, `one signal for an hour`, `several signals`, `general havoc` …"""
    contributions: tuple[Contribution, ...] = ()
    """Strangest first."""
    markers: tuple[Marker, ...] = ()
    """What was done on purpose shortly before and since, newest first."""

    @property
    def culprit(self) -> Contribution | None:
        """The strangest signal."""
        return self.contributions[0] if self.contributions else None

    @property
    def headline(self) -> str:
        """One line for people."""
        first = self.culprit
        said = (first.sentence or f"{first.signal} is unusual") if first else "something is unusual"
        more = len(self.contributions) - 1
        return f"{said} (verdict: {self.verdict}{f'; {more} more signals' if more > 0 else ''})"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What the alarms' core wants told: a step of an episode. Only `opened` is a page."""

    step: Step
    episode: Episode
