"""What a device's monitor answers (`response/alarms`), made into the values that its own core has. Pure.

So everything that shows alarms, the page, a report or the command line, shows one kind of thing.
"""

from typing import Any

import msgspec

from roost_broker.clock import MS
from roost_broker.errors import PeerError
from roost_broker.messages import AlarmSignal, OpenAlarm
from roost_rendezvous.analytics.alarms.episode import Contribution, Episode, Marker
from roost_rendezvous.analytics.watch.overview import Repaired
from roost_rendezvous.monitor.standing_answer import Stood

VERB, KNOWN = "alarms", "acknowledge"


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the monitor says of its alarms."""

    alarms: list[OpenAlarm] = []
    signals: int = 0
    able: int = 0
    watched_since: int = 0
    """Milliseconds."""
    why_not: str = ""
    mended: list[Repaired] = []
    """What mended itself, the most frequent of the last seven days first."""
    standing: list[Stood] = []
    """The strangest signals; only where they were asked for."""
    caught_up: bool = True
    """False: the monitor was started again and handles what is left from before; all this is as of then."""
    behind: int = 0
    """Observations that are still to be handled."""


def catching_up(answer: Answer) -> str:
    """A sentence for people; empty when there is nothing to be said."""
    if answer.caught_up and not answer.behind:
        return ""
    many = f": {answer.behind:,} observations are still to be handled" if answer.behind else ""
    return f"The monitor is catching up{many}; what is open now is not known yet."


def read(data: dict[str, Any]) -> Answer:
    """What came over the wire. Raises `PeerError` for what is no answer of a monitor."""
    try:
        return msgspec.convert(data, Answer)
    except msgspec.ValidationError as error:
        raise PeerError(f"The monitor's answer cannot be read: {error}.", "Bring both to one version.") from error


def episode_of(one: OpenAlarm) -> Episode:
    """An alarm as the monitor's core has it."""
    return Episode(
        id=one.alarm_id,
        task=one.task or "",
        state=one.state,
        opened=one.opened_at * MS,
        updated=one.updated_at * MS,
        acknowledged=one.acknowledged_at * MS if one.acknowledged_at is not None else None,
        acknowledged_by=one.acknowledged_by,
        ended=one.ended_at * MS if one.ended_at is not None else None,
        ending=one.ending,
        verdict=one.verdict,
        reasons=tuple(one.reasons),
        nines=one.nines,
        per_week=one.per_week,
        how=one.how,
        contributions=tuple(map(_contribution, one.signals)),
        markers=tuple(Marker(at=mark.at * MS, text=mark.text) for mark in one.markers),
    )


def _contribution(one: AlarmSignal) -> Contribution:
    return Contribution(
        signal=one.name,
        kind=one.kind,  # type: ignore[arg-type]  # a word that a later version may add to; it is only shown
        subject=one.subject,  # type: ignore[arg-type]  # as above
        side=one.side,
        nines=one.nines,
        share=one.share,
        normal=one.normal,
        now=one.now,
        unit=one.unit,
        sentence=one.sentence,
        since=one.since * MS,
    )
