"""How everything that is watched stands, as part of the monitor's answer: bounded, the strangest first. Pure.

Both ends read this module: the monitor writes the list, the page and the command line make values of it again.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from roost_broker.clock import MS
from roost_rendezvous.analytics.alarms.standing import SignalStanding, Watch
from roost_rendezvous.analytics.reading import Side

MOST = 160
"""Signals of each side; with the longest texts they stay below what a message may weigh."""
_NAME, _TEXT = 120, 160


class Stood(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One signal; times in milliseconds."""

    signal: str
    task: str = ""
    kind: str = ""
    subject: str = ""
    side: Side = "data"
    watch: Watch = "watched"
    why_not: str = ""
    nines: float | None = None
    at: int = 0
    normal: float | None = None
    now: float | None = None
    unit: str = ""
    sentence: str = ""


def told(signals: Iterable[SignalStanding], task: str = "") -> list[dict[str, Any]]:
    """For the answer: of each side the strangest; of one task, where one is named."""
    room = {"data": MOST, "operational": MOST}
    found: list[dict[str, Any]] = []
    for one in signals:
        if room[one.side] and (not task or one.task in ("", task)):
            room[one.side] -= 1
            found.append(msgspec.to_builtins(_stood(one)))
    return found


def heard(signals: Iterable[Stood]) -> tuple[SignalStanding, ...]:
    """What was told, as the alarms' own values."""
    return tuple(
        SignalStanding(
            signal=one.signal,
            task=one.task,
            kind=one.kind,  # type: ignore[arg-type]  # a word that a later version may add to; it is only shown
            subject=one.subject,  # type: ignore[arg-type]  # as above
            side=one.side,
            watch=one.watch,
            why_not=one.why_not,
            nines=one.nines,
            at=one.at * MS,
            normal=one.normal,
            now=one.now,
            unit=one.unit,
            sentence=one.sentence,
        )
        for one in signals
    )


def _stood(one: SignalStanding) -> Stood:
    calm = one.nines is None or one.nines < 1
    return Stood(
        signal=one.signal[:_NAME],
        task=one.task,
        kind=one.kind,
        subject=one.subject,
        side=one.side,
        watch=one.watch,
        why_not=one.why_not[:_TEXT],
        nines=_short(one.nines),
        at=one.at // MS,
        normal=_short(one.normal),
        now=_short(one.now),
        unit=one.unit[:20],
        sentence="" if calm else one.sentence[:_TEXT],  # of what is usual the figures say enough
    )


def _short(number: float | None) -> float | None:
    return float(f"{number:.4g}") if number is not None else None
