"""Open episodes and what is remembered of each: its signals at their strangest, and when it was strange last. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from roost_rendezvous.analytics.alarms.episode import Contribution, Ending, Episode, Marker, State, Verdict
from roost_rendezvous.analytics.reading import Reading


class Seen(NamedTuple):
    """One signal at one moment."""

    row: int
    reading: Reading
    nines: float
    beside: float | None
    lasting: float
    """Mean urgency over the last hour, by its own log-odds."""
    urgency: float
    """What it adds to the composite: beside the others, now or for an hour."""


class Part(msgspec.Struct):
    """One signal's part in an episode."""

    reading: Reading
    """When it was strangest."""
    nines: float
    lasting: float
    urgency: float
    since: int
    beside: float | None = None


class Running(msgspec.Struct):
    """An episode that is not over. Changed in place by the core alone."""

    id: str
    opened: int
    strange: int
    """When it was strange last."""
    told: int
    per_week: float
    how: str
    state: State = "open"
    acknowledged: int | None = None
    acknowledged_by: str = ""
    settled: int | None = None
    """When its signals last were given a new normal."""
    said: str = ""
    """What was told last, in short: it is told anew when this changes."""
    verdict: Verdict = "unknown"
    reasons: tuple[str, ...] = ()
    parts: dict[int, Part] = {}
    """By row."""

    def see(self, seen: Seen, since: int) -> None:
        """Keep what was strangest of a signal."""
        part = self.parts.get(seen.row)
        if part is None:
            self.parts[seen.row] = Part(
                reading=seen.reading,
                nines=seen.nines,
                lasting=seen.lasting,
                urgency=seen.urgency,
                since=since,
                beside=seen.beside,
            )
            return
        part.lasting = max(part.lasting, seen.lasting)
        part.urgency = max(part.urgency, seen.urgency)
        if seen.nines > part.nines:
            part.nines, part.reading = seen.nines, seen.reading
        if seen.beside is not None:
            part.beside = seen.beside if part.beside is None else max(part.beside, seen.beside)

    @property
    def ranked(self) -> list[int]:
        """Rows, strangest first."""
        return sorted(self.parts, key=lambda row: -self.parts[row].urgency)

    @property
    def task(self) -> str:
        """Of the strangest signal."""
        return self.parts[self.ranked[0]].reading.signal.task if self.parts else ""

    def tell(self, now: int, shown: int, markers: Sequence[Marker], ending: Ending = "") -> Episode:
        """As the outside has it; `shown`: contributions at most."""
        ranked = self.ranked
        whole = sum(max(0.0, part.urgency) for part in self.parts.values()) or 1.0
        return Episode(
            id=self.id,
            task=self.task,
            state="ended" if ending else self.state,
            opened=self.opened,
            updated=now,
            acknowledged=self.acknowledged,
            acknowledged_by=self.acknowledged_by,
            ended=now if ending else None,
            ending=ending,
            verdict=self.verdict,
            reasons=self.reasons,
            nines=round(max((part.nines for part in self.parts.values()), default=0.0), 3),
            per_week=float(f"{self.per_week:.3g}"),
            how=self.how,
            contributions=tuple(_contribution(self.parts[row], whole) for row in ranked[:shown]),
            markers=tuple(markers),
        )


def _contribution(part: Part, whole: float) -> Contribution:
    reading = part.reading
    signal = reading.signal
    return Contribution(
        signal=signal.name,
        task=signal.task,
        kind=signal.kind,
        subject=signal.subject,
        of=signal.of,
        part=signal.part,
        side=signal.side,
        nines=round(part.nines, 3),
        beside_others=None if part.beside is None else round(part.beside, 3),
        share=round(max(0.0, part.urgency) / whole, 4),
        normal=reading.normal,
        now=reading.now,
        unit=reading.unit,
        sentence=reading.sentence,
        since=part.since,
    )
