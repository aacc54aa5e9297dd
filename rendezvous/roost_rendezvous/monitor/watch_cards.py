"""The watch's two files on the card: the journal and the store of sketches. For one thread; the calls block.

A save goes to the journal together with the windows that were closed since the last one; then they are put into the
store, as a batch with a number. Killed in between, they are put at the next start: the store knows the batch.
"""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.journal import Head, Journal

if TYPE_CHECKING:  # it brings numpy
    from roost_rendezvous.analytics.sketches.store import SketchStore

_MINUTE_NS = 60_000_000_000
_TIDY_EVERY_NS = 60 * _MINUTE_NS


class Saving(NamedTuple):
    """A save on its way to the card."""

    upto: int
    """It covers the observations up to this number."""
    core: bytes
    """`journal.packed`."""
    closed: list[Any]
    """Windows closed since the last one."""


class Cards:
    """Raises `sqlite3.Error` and OSError where the card fails; nothing is lost by trying again."""

    def __init__(self, folder: Path, settings: AnalyticsSettings, counts: Counter[str]) -> None:
        self._folder = folder
        self._settings = settings
        self._counts = counts
        self._journal: Journal | None = None
        self._store: SketchStore | None = None
        self._batch = 0
        self._unsaved: list[Any] = []
        """Closed windows that no save has yet."""
        self._tidied_at = 0

    def open(self) -> Head:
        """Where it stands; the save and what follows are read later."""
        self._journal = Journal(self._folder / "journal.db")
        return self._journal.head()

    def saved(self) -> bytes | None:
        """The last save, for `journal.unpacked`."""
        return self._journal.saved() if self._journal is not None else None

    def page(self, after: int, upto: int, most: int) -> list[tuple[int, bytes]]:
        """Observations that are only here."""
        return self._journal.page(after, upto, most) if self._journal is not None else []

    def put_again(self, batch: int, closed: list[Any]) -> None:
        """The last save's windows, unless the store has them."""
        self._batch = batch
        self._put(closed)

    def write(
        self, observed: list[bytes], told: list[str], rows: list[Row], steady: Any, saving: Saving | None, now: int
    ) -> int:
        """What is new, and a save where there is one. Returns the number of the newest observation."""
        if saving is not None:
            self._unsaved += saving.closed
        if self._journal is None:
            self._journal = Journal(self._folder / "journal.db")
        newest = self._journal.write(observed, told, steady, rows)
        if saving is not None:
            self._save(saving, now)
        return newest

    def _save(self, saving: Saving, now: int) -> None:
        if self._journal is None:
            return
        batch = max(self._batch + 1, now // _MINUTE_NS)
        whole = {"core": msgspec.Raw(saving.core), "closed": self._unsaved, "batch": batch}
        self._counts["watch-saved-bytes"] = self._journal.save(whole, saving.upto, keep_rows=self._settings.keep_rows)
        self._batch, closed, self._unsaved = batch, self._unsaved, []
        self._put(closed)
        if self._store is not None and now - self._tidied_at >= _TIDY_EVERY_NS:
            self._tidied_at = now
            self._store.roll_up(now // 1_000_000_000)
            self._store.tidy(now // 1_000_000_000)

    def close(self) -> None:
        """Let the files go."""
        for one in (self._journal, self._store):
            if one is not None:
                one.close()
        self._journal = self._store = None

    def _put(self, closed: list[Any]) -> None:
        if not closed:
            return
        from roost_rendezvous.analytics.sketches.store import SketchStore
        from roost_rendezvous.analytics.watch.windowing import closed_of

        try:
            if self._store is None:
                self._store = SketchStore(self._folder / "sketches.db", self._settings.sketches)
            self._store.put(closed_of(closed), batch=self._batch)
            self._counts["watch-windows"] += len(closed)
        except (sqlite3.Error, OSError, PeerError, ValueError):
            self._counts["watch-windows-failed"] += len(closed)
