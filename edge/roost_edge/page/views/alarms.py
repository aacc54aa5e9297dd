"""What an operator may want to know: events, what could not be read, models that run on for nothing. Pure."""

from collections.abc import Sequence
from datetime import tzinfo

from roost_broker.messages import DeadLetter, Event
from roost_edge.page.views.markup import Html, breakable, cut, el, moment, table
from roost_rendezvous.traces.store import RanOnTotal
from roost_rendezvous.traces.waterfall import duration

_SHOWN = 30


def events(found: Sequence[Event], now_ms: int, zone: tzinfo | None) -> Html:
    """The newest first."""
    if not found:
        return el("p", "Nothing was told since this page began to listen.", class_="none")
    rows = ((moment(one.timestamp, now_ms, zone), el("strong", one.kind), cut(one.detail, 300)) for one in found)
    return table(("when", "what", "detail"), list(reversed(list(rows)))[:_SHOWN])


def letters(found: Sequence[DeadLetter], now_ms: int, zone: tzinfo | None) -> Html:
    """Messages that could not be used."""
    if not found:
        return el("p", "None since this page began to listen.", class_="none")
    rows = [
        (
            moment(one.timestamp, now_ms, zone),
            el("code", breakable(cut(one.topic, 80))),
            cut(one.reason, 200),
            one.reader,
        )
        for one in reversed(found)
    ]
    return table(("when", "topic", "why", "reader"), rows[:_SHOWN])


def waste(found: Sequence[RanOnTotal]) -> Html:
    """Work after answers, by model, over the days that traces are kept."""
    if not found:
        return el("p", "None, in the requests that were traced.", class_="none")
    rows = (
        (
            el("strong", breakable(one.model)),
            breakable(one.task),
            f"{one.requests:,}",
            duration(one.total_ns),
            duration(one.longest_ns),
        )
        for one in found
    )
    return table(("model", "task", "requests", "together", "longest"), rows)
