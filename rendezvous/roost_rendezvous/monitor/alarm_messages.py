"""Episodes as messages: what the watch found, cut to the bounds of the wire. Pure."""

from collections.abc import Iterable

from roost_broker.clock import MS
from roost_broker.headers import Header
from roost_broker.messages import Alarm, AlarmMarker, Alarms, AlarmSignal, OpenAlarm
from roost_broker.topics import is_name
from roost_rendezvous.analytics.alarms.episode import Contribution, Episode, Step
from roost_rendezvous.analytics.watch.overview import Overview

_SIGNALS = 12
_FEW_SIGNALS = 2
_WHOLE = 2
"""Alarms of a list that are told with all their signals: a message has its bound."""
_MARKERS = 3
_REASONS = 3
_OPEN = 12
"""Together they fit into a message, whatever stands in them."""
_TEXT = 200
_REASON = 300
_NAME = 60
_JUDGED = 256


def open_alarm(one: Episode, signals: int = _SIGNALS) -> OpenAlarm:
    """One alarm with so many of its signals."""
    return OpenAlarm(
        alarm_id=one.id,
        task=one.task if one.task and is_name(one.task) else None,
        state=one.state,
        verdict=one.verdict,
        sentence=_cut(one.headline, _TEXT),
        reasons=[_cut(text, _REASON) for text in one.reasons[:_REASONS]],
        how=one.how[:_NAME],
        nines=round(one.nines, 2),
        per_week=float(f"{one.per_week:.3g}"),
        opened_at=_ms(one.opened),
        updated_at=_ms(one.updated),
        acknowledged_at=_ms(one.acknowledged) if one.acknowledged is not None else None,
        acknowledged_by=one.acknowledged_by[:_NAME],
        ended_at=_ms(one.ended) if one.ended is not None else None,
        ending=one.ending,
        signals=[_signal(part) for part in one.contributions[:signals]],
        markers=[AlarmMarker(at=_ms(mark.at), text=mark.text[:_NAME]) for mark in one.markers[:_MARKERS]],
    )


def open_alarms(episodes: Iterable[Episode]) -> list[OpenAlarm]:
    """Several, those at the end with few signals."""
    return [open_alarm(one, _SIGNALS if at < _WHOLE else _FEW_SIGNALS) for at, one in enumerate(episodes)]


def changed(step: Step, one: Episode, header: Header) -> Alarm:
    """A change of an alarm."""
    return Alarm(**header._asdict(), change=step, alarm=open_alarm(one))


def listed(task: str, overview: Overview, header: Header) -> Alarms:
    """The open alarms of a task; of the device as a whole with an empty name."""
    return Alarms(
        **header._asdict(),
        task=task or None,
        open=open_alarms([one for one in _worst_first(overview.episodes) if one.task == task][:_OPEN]),
        signals=overview.signals,
        able=overview.able,
        watched_since=_ms(overview.since),
        why_not=overview.why_not[:_TEXT],
        judged=[name for name in overview.judged if is_name(name)][:_JUDGED],
    )


def _worst_first(episodes: Iterable[Episode]) -> list[Episode]:
    still = [one for one in episodes if one.state != "ended"]
    return sorted(still, key=lambda one: (one.state != "open", one.per_week, one.id))


def _signal(one: Contribution) -> AlarmSignal:
    return AlarmSignal(
        name=one.signal[:_NAME],
        kind=one.kind,
        subject=one.subject,
        about=one.of[:_NAME],
        side=one.side,
        nines=round(one.nines, 2),
        share=min(1.0, max(0.0, round(one.share, 3))),
        normal=one.normal,
        now=one.now,
        unit=one.unit[:_NAME],
        sentence=_cut(one.sentence, _TEXT),
        since=_ms(one.since),
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _ms(ns: int) -> int:
    return max(0, ns // MS)
