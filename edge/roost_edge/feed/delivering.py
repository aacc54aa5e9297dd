"""One post at a time to the service, when budget and patience allow. The role and `roost feed post` share this."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from roost_broker.clock import MS, SECOND, Clock, looks_synced
from roost_edge.feed.budget import Budget
from roost_edge.feed.outcomes import Later, Outcome, Posted, Refused, back_off_ns, settled
from roost_edge.feed.rows import Row
from roost_edge.feed.service import Service
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether something may be sent now; else `why` not, and for how long at least."""

    wait_ns: int
    why: str = ""
    failures: int = 0


class Deliverer:
    """Blocking, for a worker thread. `service` is asked for when there is something to send, not before."""

    def __init__(
        self,
        store: Store,
        service: Callable[[], Service],
        settings: FeedSettings,
        clock: Clock,
        counts: Counter[str],
        *,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._service = service
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._spread = spread

    def standing(self, *, paid: bool) -> Standing:
        """See `Standing`. A `paid` service wants a budget, and a clock that is right: posts are signed by it."""
        left, why, failures = self._store.paused()
        if left > 0:
            return Standing(left, why, failures)
        if not paid:
            return Standing(0)
        if not looks_synced(self._clock.wall_ns()):
            return Standing(60 * SECOND, "the clock is not set yet", failures)
        now_ms = self._clock.wall_ns() // MS
        settings = self._settings
        next_ms = Budget(settings.per_day, settings.per_month).next_ms(self._store.spent(), now_ms)
        if next_ms > now_ms:
            return Standing((next_ms - now_ms) * MS, "the budget is spent", failures)
        return Standing(0, "", failures)

    def expire(self) -> int:
        """Drop what has waited too long. Returns how many."""
        late = [row for row in self._store.waiting() if row.age_s >= self._settings.expiry_s]
        for row in late:
            why = f"; the last answer was: {row.reason}" if row.reason else ""
            self._store.drop(row.seq, f"waited longer than {self._settings.expiry_s} s{why}"[:500])
            self._counts["expired"] += 1
        return len(late)

    def one(self) -> bool:
        """Send the oldest, if it may be sent. Returns whether there was an attempt."""
        row = next(iter(self._store.waiting()), None)
        if row is None:
            return False
        service = self._service()
        standing = self.standing(paid=service.paid)
        if standing.wait_ns > 0:
            return False
        spent = self._store.attempt(row.seq, paid=service.paid)
        outcome = service.post(row, self._store.picture(row.seq), self._store.root(row))
        self._record(row, spent, settled(outcome, unsure=row.unsure), service.mode, standing.failures)
        return True

    def _record(self, row: Row, spent: int, outcome: Outcome, mode: str, failures: int) -> None:
        match outcome:
            case Posted(service_id, at_ms):
                self._store.posted(row.seq, spent, mode=mode, service_id=service_id, said_ms=at_ms)
                self._store.no_pause()
                self._counts["dry-run" if mode == "dry-run" else "posted"] += 1
            case Refused(reason, why):
                self._store.drop(row.seq, why, spent=spent)
                self._store.no_pause()
                self._counts[reason] += 1
                _log.warning("a post was refused: %s", why)
            case Later(reason, why, wait, unsure):
                self._store.put_off(row.seq, spent, why, unsure=unsure)
                settings = self._settings
                ours = back_off_ns(
                    failures + 1,
                    first_s=settings.first_retry_s,
                    longest_s=settings.longest_retry_s,
                    spread=self._spread(),
                )
                ns = ours if wait is None else max(wait, ours if reason == "service-down" else 0)
                self._store.pause(ns, f"{reason}: {why}", failures + 1)
                self._counts[reason] += 1
                _log.warning("a post must wait %.0f s: %s", ns / SECOND, why)
