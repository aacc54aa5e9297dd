"""The watch at work: hands what waits to the core, slice by slice, and saves now and then.

1. What is left from before the start comes first, then what is heard meanwhile: the same observations in the same order
   as without the restart. Until all of it is handled the watch is behind: no time passes for it, and what it would say
   of the present is not said.
2. A save covers what was handled, and is written together with what came of that. While it is behind it is saved often:
   a device that is switched off again and again gets on.
3. Told to end, the slice in hand is finished, a short rest is handled, and what was handled is saved. A long rest is
   for the next start.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from roost_broker.clock import SECOND, Clock
from roost_broker.worker import Worker
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.watch_cards import Cards, Saving
from roost_rendezvous.monitor.watch_handling import Handling, Slice
from roost_rendezvous.monitor.watch_line import Line

if TYPE_CHECKING:  # the core brings numpy, which only a monitor that watches has
    from roost_rendezvous.analytics.watch.overview import Overview
    from roost_rendezvous.analytics.watch.parts import Told
    from roost_rendezvous.analytics.watch.watching import Watching

T = TypeVar("T")
_PAGE = 200
"""Observations at a time: read from the card, and given to the thread."""
_SHORT = 100
"""So many are handled before the end: on the slowest machine a second's work."""
_SAVE_BEHIND = 1_000
"""Observations between two saves while it is behind."""


class Working:
    """See the module. `news` is called when there is something to write or to say."""

    def __init__(
        self,
        cards: Cards,
        settings: AnalyticsSettings,
        tasks: tuple[str, ...],
        *,
        clock: Clock,
        counts: Counter[str],
        news: Callable[[], None],
        fault: Callable[[str, Exception], None],
    ) -> None:
        self.line = Line()
        self.told: list[Told] = []
        self.rows: list[Any] = []
        self.saving: Saving | None = None
        """These three are for whoever writes; he takes them together."""
        self.overviews: dict[str, Overview] | None = None
        """By task, where they may have changed."""
        self.stands: Slice | None = None
        self.caught_up = False
        self._cards = cards
        self._settings = settings
        self._tasks = tasks
        self._clock = clock
        self._counts = counts
        self._news = news
        self._fault = fault
        self._handling = Handling(settings, clock=clock, counts=counts)
        self._begun = False
        self._work = asyncio.Event()
        self._ending = asyncio.Event()
        self._saved_upto = 0
        self._saved_ns = 0
        self._looked = 0
        self._changed = True
        """Something to be told, or a look, since the last overviews."""

    @property
    def behind(self) -> int:
        """Observations that wait to be handled; what has just come does not count."""
        waits = self.line.behind
        return 0 if self.caught_up and waits <= _PAGE else waits

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return self.caught_up and not self.line.behind

    @property
    def full(self) -> bool:
        """No more may come now: the next start would have too much to do."""
        return self.line.behind >= 2 * self._settings.journal_rows

    def more(self) -> None:
        """The line has grown."""
        self._counts["watch-behind"] = self.behind
        self._work.set()

    def say_again(self) -> None:
        """The overviews are wanted though nothing has changed."""
        self._changed = True
        self._work.set()

    def ask(self, work: "Callable[[Watching], T]") -> "asyncio.Future[T] | None":
        """Ask the core; None: there is none yet."""
        return self._handling.ask(work) if self._begun else None

    async def run(self, store: Worker) -> None:
        """Work until `end`. `store` is the thread of the card."""
        if not await self._begin(store):
            return
        while not (self._ending.is_set() and self.line.behind > _SHORT):
            if (unread := self.line.unread()) is not None:
                await self._read(store, *unread)
            batch = self.line.next(_PAGE)
            if batch:
                await self._slice(await self._handling.handle(batch))
            elif self._ending.is_set():
                break
            else:
                await self._at_the_end()
                await self._work.wait()
                self._work.clear()
        await self._save()

    async def end(self, running: "asyncio.Task[None]") -> None:
        """Wait until `run` has handled a short rest and saved, or at once while it was not begun."""
        self._ending.set()
        self._work.set()
        await asyncio.gather(running, return_exceptions=True)

    def stop(self) -> None:
        """Let the thread go; what it does is lost, and done again at the next start."""
        self._handling.stop()

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _begin(self, store: Worker) -> bool:
        """The import and the last save. False: told to end before that."""
        self._saved_upto, self._saved_ns = self.line.handled, self._clock.monotonic_ns()
        self._counts["watch-behind"] = self.behind
        saved = None
        try:
            saved = await store.call(self._cards.saved)
        except (sqlite3.Error, OSError) as error:
            self._fault("cannot be read", error)
        beginning, ending = self._handling.begin(saved), asyncio.ensure_future(self._ending.wait())
        del saved
        try:
            await asyncio.wait((beginning, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
        if not beginning.done():
            return False
        begun = beginning.result()
        if begun.fault is not None:
            self._fault("was written by another version", begun.fault)
        await store.call(self._cards.put_again, begun.batch, begun.closed)
        self._begun = True
        return True

    async def _read(self, store: Worker, after: int, upto: int) -> None:
        page: list[tuple[int, bytes]] = []
        try:
            page = await store.call(self._cards.page, after, upto, _PAGE)
        except (sqlite3.Error, OSError) as error:
            self._fault("cannot be read", error)
        self.line.read(page)
        if not self.caught_up:
            self._counts["watch-again"] += len(page)

    async def _slice(self, done: Slice) -> None:
        full = self.full
        self.line.done(done.handled)
        self.told += done.told
        self.rows += done.rows
        self.stands = done
        self._counts["watch-behind"] = self.behind
        self._changed = self._changed or bool(done.told) or done.looked != self._looked
        self._looked = done.looked
        if done.told or done.rows or full:
            self._news()
        if not self.line.behind:
            await self._at_the_end()
        if self._due():
            await self._save()

    async def _at_the_end(self) -> None:
        """All is handled: what it says is of the present."""
        if self.caught_up and not self._changed:
            return
        self.caught_up, self._changed = True, False
        self._counts["watch-behind"] = self.behind
        self.overviews = await self._handling.ask(lambda core: {task: core.overview(task) for task in self._tasks})
        self._news()

    def _due(self) -> bool:
        if self.saving is not None:  # the last one is still on its way
            return False
        if not self.caught_up:
            return self.line.handled - self._saved_upto >= _SAVE_BEHIND
        full = self.line.newest - self._saved_upto > self._settings.journal_rows
        return full or self._clock.monotonic_ns() - self._saved_ns >= self._settings.save_minutes * 60 * SECOND

    async def _save(self) -> None:
        core, closed = await self._handling.save()
        if self.saving is not None:  # at the end only: the card is slow, and the newer one covers the older
            closed = [*self.saving.closed, *closed]
        self.saving = Saving(self.line.handled, core, closed)
        self._saved_upto, self._saved_ns = self.line.handled, self._clock.monotonic_ns()
        self._news()
