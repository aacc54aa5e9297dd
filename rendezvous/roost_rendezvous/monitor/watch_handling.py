"""The watch's core in a thread of its own: what it computes holds up neither the loop nor the card.

The import of numpy, a look over all that is watched, a save: on a small machine each takes a second or more. One call
handles observations for `_SLICE_NS` at most, and at least one look or one observation; so whoever is told to stop waits
for that at most. Nobody but this thread touches the core.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from roost_broker.clock import MS, Clock
from roost_broker.errors import RoostError
from roost_broker.worker import Worker
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch.observed import Observed, unpack
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.journal import packed, unpacked
from roost_rendezvous.monitor.watch_line import Entry

if TYPE_CHECKING:  # the core brings numpy, which only a monitor that watches has
    from roost_rendezvous.analytics.watch.parts import Told
    from roost_rendezvous.analytics.watch.watching import Watching

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SLICE_NS = 20 * MS
_FAILURES_TOLD = 10
"""In the log, with where it came from; all are counted."""


class Begun(NamedTuple):
    """What the last save holds beside the core."""

    batch: int
    closed: list[Any]
    fault: RoostError | ValueError | KeyError | TypeError | None
    """Why nothing could be brought back."""


class Slice(NamedTuple):
    """What was done, and how the core stands now."""

    handled: int
    """So many of the observations were handled."""
    told: list["Told"]
    rows: list[Row]
    deadline: int | None
    """When the next request settles."""
    looked: int
    """When the last look was."""
    open_requests: int
    left_out: int


class Handling:
    """See the module. numpy is imported by `begin`, not before."""

    def __init__(self, settings: AnalyticsSettings, *, clock: Clock, counts: Counter[str]) -> None:
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._thread: Worker | None = None
        self._core: Watching | None = None

    def begin(self, saved: bytes | None) -> "asyncio.Future[Begun]":
        """Bring back what was known. A save that cannot be read costs what it knew."""
        self._thread = Worker("monitor watch")
        return self._thread.call(self._begin, saved)

    def handle(self, entries: Sequence[Entry]) -> "asyncio.Future[Slice]":
        """As many as there is time for."""
        return self._begun().call(self._handle, entries)

    def save(self) -> "asyncio.Future[tuple[bytes, list[Any]]]":
        """The core, packed, and the windows that were closed since the last time."""
        return self._begun().call(self._save)

    def ask(self, work: "Callable[[Watching], T]") -> "asyncio.Future[T]":
        """Ask the core, between two slices. Not before `begin` is done."""
        return self._begun().call(lambda: work(self._known()))

    def stop(self) -> None:
        """End the thread after what it is doing; it is not waited for."""
        if self._thread is not None:
            self._thread.stop()

    def _begun(self) -> Worker:
        if self._thread is None:
            raise RuntimeError("nothing was begun")
        return self._thread

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _make(self) -> "Watching":
        from roost_rendezvous.analytics.watch.watching import Watching
        from roost_rendezvous.analytics.watch.windowing import Windowing

        return Watching(self._settings, Windowing())

    def _begin(self, saved: bytes | None) -> Begun:
        core, whole, fault = self._make(), unpacked(saved) if saved is not None else None, None
        batch, closed = 0, []
        if whole is not None:
            try:
                batch, closed = int(whole["batch"]), list(whole["closed"])
                core.restore(whole["core"])
            except (RoostError, KeyError, TypeError, ValueError) as error:
                core, fault = self._make(), error
        self._core = core
        return Begun(batch, closed, fault)

    def _known(self) -> "Watching":
        if self._core is None:
            raise RuntimeError("the core was asked before it was made")
        return self._core

    def _handle(self, entries: Sequence[Entry]) -> Slice:
        core, count = self._known(), 0
        told: list[Told] = []
        until = self._clock.monotonic_ns() + _SLICE_NS
        for _, entry in entries:
            one = self._read(entry) if isinstance(entry, bytes) else entry
            if one is not None and not self._one(core, one, until, told):
                break
            count += 1
            if self._clock.monotonic_ns() >= until:
                break
        return Slice(
            handled=count,
            told=told,
            rows=core.take_rows(),
            deadline=core.deadline,
            looked=core.looked,
            open_requests=core.open_requests,
            left_out=core.left_out,
        )

    def _one(self, core: "Watching", one: Observed, until: int, told: "list[Told]") -> bool:
        """Looks that are due before it one by one; False: the time was up before it was its turn."""
        while (look := core.look_before(one)) is not None:
            try:
                told += core.expire(look)
            except Exception as error:  # noqa: BLE001 - rule 4 of the desk
                self._failed("at a look", error)
            if self._clock.monotonic_ns() >= until:
                return False
        try:
            told += core.handle(one)
        except Exception as error:  # noqa: BLE001 - rule 4 of the desk
            self._failed(f"at {type(one).__name__}", error)
        return True

    def _read(self, body: bytes) -> Observed | None:
        try:
            return unpack(body)
        except Exception as error:  # noqa: BLE001 - whatever it is, it would end the role at every start again
            self._counts["watch-unreadable"] += 1
            _log.warning("an observation in the journal could not be read again: %r", error)
            return None

    def _failed(self, where: str, error: Exception) -> None:
        self._counts["watch-failed"] += 1
        if self._counts["watch-failed"] <= _FAILURES_TOLD:
            _log.error("the watch failed %s; what it was about is left out", where, exc_info=error)

    def _save(self) -> tuple[bytes, list[Any]]:
        core = self._known()
        closed = core.take_closed()
        return packed(core.snapshot()), closed
