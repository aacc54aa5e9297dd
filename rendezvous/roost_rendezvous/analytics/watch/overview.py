"""What the watch knows at one moment, for people."""

import msgspec

from roost_rendezvous.analytics.alarms.episode import Episode


class Repaired(msgspec.Struct, frozen=True):
    """One kind of self-repair."""

    task: str
    """Empty for what belongs to the device."""
    what: str
    """For people, in the plural: `restarts of champion`."""
    week: int
    """So often in the last seven days."""
    total: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Of one task (or of the device as a whole)."""

    episodes: tuple[Episode, ...] = ()
    """Those that are open or acknowledged, and whose end was not long ago."""
    signals: int = 0
    able: int = 0
    """With enough history to be part of an alarm."""
    since: int = 0
    """Nanoseconds, wall clock: since when is watched; 0: nothing was heard yet."""
    why_not: str = ""
    """Why there can be no alarm yet."""
    judged: tuple[str, ...] = ()
    """Models of which something has enough history, so that an alarm may blame them."""
    mended: tuple[Repaired, ...] = ()
    """What mended itself: counted, not paged."""
