"""The feed's way out: posts to the service, the site, answers of people. Beside the intake, which never waits for it.

It has a connection of its own to the store, and one thread that a hanging network may keep.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from roost_broker.bus import Bus
from roost_broker.cancellation import within
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import QueueFull, RoostError
from roost_broker.worker import Worker
from roost_edge.feed.delivering import Deliverer
from roost_edge.feed.opening import Opening
from roost_edge.feed.replies import ReplyBook
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.site import Site
from roost_edge.feed.store import Store

_log = logging.getLogger(__name__)
NOW = "post-now"
"""Fact by which `roost feed post --now` asks the running role to try at once."""
_LOOK_EVERY = 10 * SECOND
_REPLIES = "replies-asked-ms"
_TELL_S = 10.0


class Outgoing:
    """`run` works until cancelled. What it raises ends the role: a store that cannot be written."""

    def __init__(
        self,
        store: Store,
        opening: Opening,
        site: Site | None,
        book: ReplyBook,
        bus: Bus,
        settings: FeedSettings,
        clock: Clock,
        *,
        told: Callable[[str], None],
    ) -> None:
        self._store = store
        self._opening = opening
        self._site = site
        self._book = book
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self.counts: Counter[str] = Counter()
        self._told = told
        self._deliverer = Deliverer(store, opening.service, settings, clock, self.counts)
        self._wake = asyncio.Event()
        self._worker = Worker("feed-outgoing")
        self.waiting = 0

    def news(self) -> None:
        """There are new posts, or the broker is back."""
        self._wake.set()

    def close(self) -> "asyncio.Future[None]":
        """No further work. Done when the store is closed, for which a hanging network may be in the way."""
        closed = self._worker.call(self._store.close)
        self._worker.stop()
        return closed

    async def run(self) -> None:
        """See the class."""
        shown: tuple[object, ...] | None = None
        while True:
            self._wake.clear()
            again = await self._worker.call(self._send)
            state = await self._worker.call(self._state)
            if state != shown and await self._worker.call(self._show):
                shown = state
            await self._worker.call(self._listen)
            await self._tell()
            if not again:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY / SECOND):
                        await self._wake.wait()

    def _send(self) -> bool:
        """One attempt. Returns whether there may be another at once."""
        wish = self._store.fact(NOW)
        if wish:
            self._store.no_pause()
            self._store.keep(**{NOW: ""})
        self._deliverer.expire()
        made = self._deliverer.one()
        self.waiting = len(self._store)
        why = self._opening.why_dry()
        self._told(f"dry run: {why}" if why else self._standing())
        return made

    def _standing(self) -> str:
        standing = self._deliverer.standing(paid=True)
        if not standing.why:
            return ""
        return f"{self.waiting} waiting, next attempt in {standing.wait_ns / SECOND:.0f} s: {standing.why}"[:900]

    def _state(self) -> tuple[object, ...]:
        """What the site depends on."""
        return tuple((row.seq, row.service_id) for row in self._store.newest(self._settings.max_entries))

    def _show(self) -> bool:
        """Whether it is shown now; a folder that cannot be written is no reason not to post."""
        self._store.forget_old(self._settings.max_entries)
        if self._site is None:
            return True
        try:
            self._site.write(self._store, now_ms=self._clock.wall_ns() // MS)
        except OSError as error:
            self.counts["site-failed"] += 1
            _log.warning("the site cannot be written, posts go on: %s", error)
            return False
        self.counts["site-written"] += 1
        return True

    def _listen(self) -> None:
        """Ask for answers when it is time: by the wall clock, which outlives restarts; at once if that went back."""
        if self._settings.replies == "off" or self._opening.why_dry() or self._store.paused()[0]:
            return
        now_ms = self._clock.wall_ns() // MS
        since_ms = now_ms - int(self._store.fact(_REPLIES) or 0)
        if 0 <= since_ms < self._settings.replies_every_s * 1000:
            return
        self._store.keep(**{_REPLIES: str(now_ms)})
        try:
            fresh, suggesting = self._book.fetch(self._opening.service())
        except RoostError as error:
            self.counts["replies-failed"] += 1
            _log.warning("%s", error)
            return
        self.counts["replies"] += fresh
        self.counts["suggestions"] += suggesting

    async def _tell(self) -> None:
        """Suggestions to the broker; each is told until it was taken."""
        if not self._bus.connected:
            return
        taken = []
        for one, topic, message in await self._worker.call(self._book.untold):
            try:
                await within(asyncio.shield(self._bus.publish(topic, message)), _TELL_S)
            except (QueueFull, TimeoutError, RoostError):
                break
            taken.append(one)
        if taken:
            await self._worker.call(self._book.told, taken)
            self.counts["suggestions-told"] += len(taken)
