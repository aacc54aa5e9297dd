"""Writing the page's HTML: what all faces share, and times as this page's readers know them. Pure."""

from datetime import datetime, tzinfo

from roost_rendezvous.analytics.faces.markup import Attribute, Child, Html, badge, breakable, cut, el, joined, table

__all__ = ["Attribute", "Child", "Html", "badge", "breakable", "cut", "el", "joined", "moment", "table"]


def moment(ms: int, now_ms: int, zone: tzinfo | None) -> Html:
    """A time as people read it: the time of day, with the date when it is not today's."""
    try:
        at, now = (datetime.fromtimestamp(value / 1000, zone).astimezone(zone) for value in (ms, now_ms))
    except (ValueError, OverflowError, OSError):
        return el("time", "no date")
    form = "%H:%M:%S" if at.date() == now.date() else "%d %b, %H:%M" if at.year == now.year else "%d %b %Y, %H:%M"
    return el("time", at.strftime(form), datetime=at.isoformat(timespec="seconds"))
