"""The values that monitors and alarms exchange: a signal, and what was read of it.

A monitor compares an estimate of what should be ("normal") with what is now and says how surprising the difference is
(the book, ch. 7, "Basic Tools"). The surprise is the monitor's own statistic: its scale means nothing to others, who
turn it into a quantile of the signal's own history.
"""

from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["rate", "score", "shape", "agreement", "latency", "missing", "input", "quality", "health"]
"""What is watched: how often something happens, the distribution of a score, the relation between scores, agreement
with the canary or another model, durations, absent data, what goes into models, answers kept in time, the device."""

Side: TypeAlias = Literal["data", "operational"]
"""The book's two halves of meta-analytics; both stand in one view."""

Subject: TypeAlias = Literal["model", "canary", "task", "camera", "input", "state", "clock", "link", "device"]
"""What the signal is about; verdicts (model, world, camera, clock, link) are drawn from which subjects moved."""


class Signal(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One monitored quantity. Equal signals share one history."""

    task: str
    """`""` for what belongs to the whole device."""
    kind: Kind
    subject: Subject
    of: str = ""
    """Whose: a model's name (with its version where a new version is a new normal), a camera, a field."""
    part: str = ""
    """Which part: a label, a bin, a step, a quantile."""
    side: Side = "data"

    @property
    def name(self) -> str:
        """For people and for topics, e.g. `henhouse/score/champion/hen`."""
        return "/".join(part for part in (self.task, self.kind, self.of, self.part) if part)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor says at one moment: normal, now, and how surprising (requirement A1)."""

    signal: Signal
    at: int
    """Nanoseconds, wall clock: the end of what was looked at."""
    surprise: float | None = None
    """At least 0, larger is stranger, two-sided signals folded; None: nothing can be said, and `why_not` says why."""
    normal: float | None = None
    now: float | None = None
    unit: str = ""
    events: int = 0
    """Observations that are new since the signal's last reading, not all that stand behind `now`: who adds up the
    `events` of many readings counts none twice. 0 of what counts no observations."""
    why_not: str = ""
    """E.g. `not enough history: 2 of 7 days`. Never a page (requirement G19)."""
    sentence: str = ""
    """For people: `hens were seen 0 times since 08:00, usually 14`."""
