"""Everything that is watched: normal, now, how strange; data and operation in one view (requirements A1, A2). Pure.

How strange is how often the signal's own history had something as strange, in words: `stranger than 999 of 1,000`. So
two signals can be compared, whatever they measure. The strangest come first; what cannot be judged yet says why.
"""

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from roost_broker.enumeration import first_of
from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.faces.axes import milliseconds, per_cent, plain
from roost_rendezvous.analytics.faces.markup import Html, badge, breakable, cut, el, joined, table
from roost_rendezvous.analytics.faces.telling import moment
from roost_rendezvous.analytics.reading import Side

SIDES: dict[Side, str] = {"data": "Data: what goes in, and what is said of it", "operational": "Operation: how it runs"}
LOUD, NOTED = 3.0, 2.0
"""Nines from which a signal is coloured: stranger than 999 of 1,000, than 99 of 100 of its own history."""
_MOST_NINES = 9
_NAMED, _UNFOLDED = 3, 160
"""Signals that still learn: named in the sentence, and listed below it."""


def figure_of(number: float | None, unit: str) -> str:
    """A number with its unit; nothing for None."""
    if number is None:
        return ""
    if unit == "ms":
        return milliseconds(number)
    if unit == "share" and 0 <= number <= 1:
        return per_cent(number)
    return f"{plain(number)} {unit}".rstrip()


def how_strange(one: SignalStanding) -> str:
    """In words."""
    if one.watch == "not-enough-history":
        return cut(one.why_not or "not enough history", 60)
    if one.watch == "silent":
        return "silent"
    if one.nines is None or one.nines < NOTED / 2:
        return "usual"
    whole = 10 ** min(_MOST_NINES, int(one.nines + 0.5))
    return f"stranger than {whole - 1:,} of {whole:,}"


def of_side(found: Iterable[SignalStanding], side: Side) -> list[SignalStanding]:
    """The strangest first; what is not judged last."""
    return sorted(
        (one for one in found if one.side == side),
        key=lambda one: (one.watch != "watched", -(one.nines or 0.0), one.signal),
    )


def standing_table(found: Sequence[SignalStanding], zone: tzinfo | None, *, most: int = 30) -> Html:
    """Two tables; of each side the first `most`, and how many more there are."""
    parts: list[Html] = []
    for side, title in SIDES.items():
        shown = of_side(found, side)
        parts.append(el("h3", title))
        if not shown:
            parts.append(el("p", "Nothing is watched here yet.", class_="none"))
            continue
        judged = [one for one in shown if one.watch != "not-enough-history"]
        if judged:
            parts.append(_table(judged[:most], zone))
        parts += [el("p", line, class_="note") for line in rest(judged, most)]
        if len(judged) < len(shown):
            parts.append(_learning([one for one in shown if one.watch == "not-enough-history"], len(shown), zone))
    return joined(*parts)


def rest(shown: Sequence[SignalStanding], most: int) -> Iterable[str]:
    """What is judged and not in the table, in words."""
    if len(shown) > most:
        yield f"{len(shown) - most:,} more are watched, none of them stranger than these."


def too_little_history(found: Sequence[SignalStanding], of: int) -> str:
    """How many cannot be judged yet, and the first of them."""
    names = first_of([cut(one.signal, 70) for one in found], _NAMED)
    return f"{len(found):,} of {of:,} have too little history to be judged, and raise no alarm: {names}."


def _learning(found: Sequence[SignalStanding], of: int, zone: tzinfo | None) -> Html:
    """What cannot be judged yet is one sentence; who wants to see more opens it."""
    return joined(
        el("p", breakable(too_little_history(found, of)), class_="note"),
        el("details", el("summary", "What each of them says now, and what it lacks"), _table(found[:_UNFOLDED], zone)),
    )


def _table(found: Sequence[SignalStanding], zone: tzinfo | None) -> Html:
    heads = ("signal", "now", "normal", "how strange", "read at")
    return table(heads, (_row(one, zone) for one in found), class_="standing")


def _judged(one: SignalStanding, grade: str) -> Html:
    """How strange; of one that is still learning why it is not judged, in words that may wrap."""
    if one.watch != "not-enough-history":
        return badge(grade, how_strange(one))
    return joined(badge(grade, "learning"), " ", el("span", how_strange(one), class_="note"))


def _row(one: SignalStanding, zone: tzinfo | None) -> tuple[Html | str, ...]:
    nines = one.nines or 0.0
    grade = "off" if one.watch != "watched" else "bad" if nines >= LOUD else "warn" if nines >= NOTED else "good"
    sentence = el("span", cut(one.sentence, 160), class_="note") if one.sentence else None
    return (
        joined(el("strong", breakable(cut(one.signal, 70))), el("br") if sentence else None, sentence),
        figure_of(one.now, one.unit),
        figure_of(one.normal, one.unit),
        _judged(one, grade),
        el("time", moment(one.at, zone)) if one.at else "",
    )
