"""How the feed stands, for people: what `roost feed check` and the doctor say. Reads, and changes nothing."""

from dataclasses import dataclass
from pathlib import Path

from roost_broker.clock import MS, SECOND, Clock, boot_id
from roost_edge.feed.budget import Budget
from roost_edge.feed.rows import Row
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.store import Store


@dataclass(frozen=True, slots=True)
class Told:
    """All of it, from the store."""

    waiting: tuple[Row, ...] = ()
    left_today: int = 0
    left_this_month: int = 0
    next_ms: int = 0
    """When the budget lets the next post go; 0: now."""
    paused_s: float = 0.0
    why_paused: str = ""
    failures: int = 0
    newest: tuple[Row, ...] = ()


def told(path: Path, settings: FeedSettings, clock: Clock) -> Told:
    """What stands in the store; of a device that has none yet, that nothing waits. Raises `PeerError`."""
    budget = Budget(settings.per_day, settings.per_month)
    if not path.is_file():
        return Told(left_today=settings.per_day, left_this_month=settings.per_month)
    store = Store(path, clock, boot=boot_id(), look=True)
    try:
        now_ms = clock.wall_ns() // MS
        spent = store.spent()
        today, month = budget.left(spent, now_ms)
        next_ms = budget.next_ms(spent, now_ms)
        left, why, failures = store.paused()
        return Told(
            waiting=store.waiting(),
            left_today=today,
            left_this_month=month,
            next_ms=next_ms if next_ms > now_ms else 0,
            paused_s=left / SECOND,
            why_paused=why,
            failures=failures,
            newest=store.newest(settings.max_entries),
        )
    finally:
        store.close()
