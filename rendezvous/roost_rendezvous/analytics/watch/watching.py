"""The watch itself: observations in, what is to be told out. Pure; times are steady nanoseconds.

1. Time passes in looks: at every full `look_s` all detectors are asked and the alarms judge. An observation that lies
   behind the next look makes it happen first, so handling a journal again gives the same looks and the same alarms.
2. Rates hear of an observation at once, everything else when its request has settled into a row.
3. Where nobody watched (the device was off), no silence is counted; rates are told so.
4. What is told carries a key that is the same when the same is handled again.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.alarms.core import AlarmCore
from roost_rendezvous.analytics.alarms.episode import Episode, Marker, Notice
from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.reading import Reading
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch import planning
from roost_rendezvous.analytics.watch.crossing import Crossing
from roost_rendezvous.analytics.watch.joining import Joining
from roost_rendezvous.analytics.watch.links import Links
from roost_rendezvous.analytics.watch.mending import Mending
from roost_rendezvous.analytics.watch.observed import (
    Acknowledged,
    Asked,
    Decided,
    Marked,
    Observed,
    Passed,
    RanOn,
    Resumed,
    Said,
    Standing,
    Stepped,
    Traced,
)
from roost_rendezvous.analytics.watch.overview import Overview
from roost_rendezvous.analytics.watch.parts import Told, Windows, clock_reading
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.shaping import Shaping
from roost_rendezvous.analytics.watch.streams import Streams

MS = 1_000_000
SECOND = 1_000_000_000
SCHEMA = "roost.watch/1"
_MOST_LOOKS = 1_500
"""In a row; after a longer absence the looks in between are left out."""
_KEEP_ENDED = 50
_MOST_STANDING = 1_000


class Watching:
    """All tasks of one device. `windows` gets what is kept for reports; None: nothing is."""

    def __init__(self, settings: AnalyticsSettings | None = None, windows: Windows | None = None) -> None:
        self.settings = settings or AnalyticsSettings()
        self.counts: Counter[str] = Counter()
        self._period = self.settings.look_s * SECOND
        self._joining = Joining(settle=self.settings.settle_ms * MS, most=self.settings.open_requests)
        self._streams = Streams(self.settings.streams)
        self._shapes: dict[str, Shaping] = {}
        self._alarms = AlarmCore(self.settings.alarms)
        self._mending = Mending()
        self._windows = windows
        self._standing: dict[tuple[str, str, int], Standing] = {}
        self._ended: deque[Episode] = deque(maxlen=_KEEP_ENDED)
        self._versions: dict[tuple[str, str], str] = {}
        self._now = 0
        self._looked = 0
        self._since = 0
        self._clock_set = 0.0
        self._links = Links()
        self._crossing = Crossing(self.settings.canary)
        self._standings: Any = None
        self._fresh_rows: list[Row] = []

    # -- what comes in -----------------------------------------------------------------------------------------------

    def take_closed(self) -> list[Any]:
        """Windows that are closed since the last call, as plain values; call it before `snapshot`."""
        return self._windows.take() if self._windows is not None else []

    def take_rows(self) -> list[Row]:
        """Rows that have settled since the last call."""
        rows, self._fresh_rows = self._fresh_rows, []
        return rows

    def handle(self, one: Observed) -> tuple[Told, ...]:
        """One observation; looks that are due before it come first."""
        if isinstance(one, Resumed):
            self._resume(one.heard)
            return ()
        told = [*self.expire(one.heard)]
        if isinstance(one, Passed):
            return tuple(told)
        self._since = self._since or one.heard
        match one:
            case Asked() | Said() | Decided():
                self._flow(one)
            case Traced():
                self._streams.feed(planning.of_trace(one, self.settings.canary), self._now)
            case RanOn():
                self._streams.feed(planning.of_ran_on(one), self._now)
            case Standing():
                self._stand(one)
            case Marked():
                self._alarms.mark(Marker(at=one.heard, text=one.text, task=one.task, model=one.model))
            case Stepped():
                self._clock_set += abs(one.by) / SECOND
            case Acknowledged():
                told += self._acknowledge(one)
        return tuple(told)

    def expire(self, now: int) -> tuple[Told, ...]:
        """Settle what is quiet, and look as often as is due."""
        if now <= self._now:
            return ()
        told: list[Told] = []
        first = (self._looked or now) // self._period + 1
        last = now // self._period
        if self._looked == 0:
            self._looked = now
        for number in range(max(first, last - _MOST_LOOKS), last + 1):
            at = self._looked = number * self._period  # first: a look that fails is not tried again
            self._settle(at)
            told += self._look(at)
        self._settle(now)
        self._now = now
        return tuple(told)

    @property
    def now(self) -> int:
        """How far its time has come; 0: nothing was heard yet."""
        return self._now

    @property
    def looked(self) -> int:
        """When the last look was; 0: nothing was heard yet."""
        return self._looked

    @property
    def deadline(self) -> int | None:
        """When the next request will have been quiet for long enough; None: none is open."""
        return self._joining.deadline()

    def look_before(self, one: Observed) -> int | None:
        """When the next look is due before this is handled, for `expire`: a day's looks take long at once."""
        if self._looked == 0 or isinstance(one, Resumed):
            return None
        number = max(self._looked // self._period + 1, one.heard // self._period - _MOST_LOOKS)
        return at if self._now < (at := number * self._period) <= one.heard else None

    @property
    def open_requests(self) -> int:
        """Requests that wait to become rows."""
        return len(self._joining)

    @property
    def left_out(self) -> int:
        """Observations of streams for which there was no room."""
        return self._streams.counts["left-out"] + sum(one.left_out for one in self._shapes.values())

    # -- what people ask ---------------------------------------------------------------------------------------------

    def find(self, alarm: str) -> Episode:
        """The open alarm whose id begins so. Raises `Misuse` for several or none."""
        found = [one for one in self._alarms.open if one.id.startswith(alarm)]
        if len(found) != 1:
            problem = "is several alarms" if found else "is no open alarm"
            raise Misuse(f"{alarm[:40]!r} {problem}.", "`roost alarms` lists them with their ids.")
        return found[0]

    def overview(self, task: str) -> Overview:
        """Of one task; with an empty name of the whole device."""
        standing = self._stands()
        mine = [one for one in standing.signals if not task or one.task in (task, "")]
        able = sum(one.watch == "watched" for one in mine)
        reason = next((one.why_not for one in mine if one.why_not), "nothing was heard yet")
        return Overview(
            episodes=(*self._alarms.open, *self._ended),
            signals=len(mine),
            able=able,
            since=self._since,
            why_not=(standing.why_not or ("" if able else reason)),
            judged=_judged(mine) if not standing.why_not else (),
            mended=self._mending.told(task),
        )

    def standing(self) -> Any:
        """How every signal stands (`alarms.standing.Standing`), as of the last look."""
        return self._stands()

    # -- what is kept ------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that a restart must not lose, as plain values."""
        return {
            "schema": SCHEMA,
            "now": self._now,
            "looked": self._looked,
            "since": self._since,
            "clock": self._clock_set,
            "links": self._links.snapshot(),
            "crossing": self._crossing.snapshot(),
            "joining": self._joining.snapshot(),
            "streams": self._streams.snapshot(),
            "shapes": {task: shaping.snapshot() for task, shaping in self._shapes.items()},
            "alarms": self._alarms.snapshot(),
            "mending": self._mending.snapshot(),
            "windows": self._windows.snapshot() if self._windows is not None else None,
            "standing": [msgspec.to_builtins(one) for one in self._standing.values()],
            "ended": [msgspec.to_builtins(one) for one in self._ended],
            "versions": [[task, model, version] for (task, model), version in self._versions.items()],
        }

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave. Raises ValueError, KeyError or TypeError for anything else."""
        if kept["schema"] != SCHEMA:
            raise ValueError(f"the watch was saved as {kept['schema']!r}")
        self._now, self._looked, self._since = kept["now"], kept["looked"], kept["since"]
        self._clock_set = kept["clock"]
        self._links.restore(kept.get("links", {}))  # an older save is without these two
        self._crossing.restore(kept.get("crossing", []))
        self._joining.restore(kept["joining"])
        self._streams.restore(kept["streams"])
        for task, plain in kept["shapes"].items():
            self._shape(task).restore(plain)
        self._alarms.restore(kept["alarms"])
        if "mending" in kept:  # an earlier version kept none
            self._mending.restore(kept["mending"])
        if self._windows is not None and kept["windows"] is not None:
            self._windows.restore(kept["windows"])
        for one in msgspec.convert(kept["standing"], list[Standing]):
            self._standing[(one.task, one.name, one.replica)] = one
        self._ended.extend(msgspec.convert(kept["ended"], list[Episode]))
        self._versions = {(task, model): version for task, model, version in kept["versions"]}

    # -- inside ------------------------------------------------------------------------------------------------------

    def _resume(self, now: int) -> None:
        """Nobody watched: the looks in between are left out, and no detector hears of the time."""
        self._settle(now)
        self._streams.resume(now)
        self._mending.away()
        self._now, self._looked = max(self._now, now), max(self._looked, now)

    def _flow(self, one: Asked | Said | Decided) -> None:
        before, taken = self._joining.fresh, self._joining.taken
        rows = self._joining.handle(one)
        if isinstance(one, Said) and self._joining.taken != taken:
            self._crossing.handle(one)
        if self._joining.fresh != before:
            if isinstance(one, Asked):
                self._crossing.handle(one)
                self._streams.feed(planning.of_request(one), one.heard)
            elif isinstance(one, Said):
                self._streams.feed(planning.of_word(one), one.heard)
            else:
                self._streams.feed(planning.of_result(one), one.heard)
                self._mending.decided(one, one.heard)
            if self._windows is not None and not isinstance(one, Said):
                self._windows.observed(one)
        self._rows(rows)

    def _settle(self, now: int) -> None:
        self._rows(self._joining.expire(now))

    def _rows(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._streams.feed(planning.of_row(row), self._now)
            self._shape(row.task).row(row)
            for model, version in planning.version_of(row):
                self._mark_version(row, model, version)
            if self._windows is not None:
                self._windows.row(row)
            if len(self._fresh_rows) < self.settings.keep_rows:
                self._fresh_rows.append(row)

    def _shape(self, task: str) -> Shaping:
        found = self._shapes.get(task)
        if found is None:
            found = self._shapes[task] = Shaping(task, canary=self.settings.canary, most=self.settings.streams)
        return found

    def _stand(self, one: Standing) -> None:
        key = (one.task, one.name, one.replica)
        self._mending.stands(one, one.heard)
        if key in self._standing or len(self._standing) < _MOST_STANDING:
            before = self._standing.get(key)
            self._streams.feed(planning.of_standing(one, before), self._now)
            self._links.stand(one, before, self._now)
            self._standing[key] = one

    def _mark_version(self, row: Row, model: str, version: str) -> None:
        """Another version of a model is a change on purpose, whoever brought it (L7)."""
        key = (row.task, model)
        known = self._versions.get(key)
        if known == version or (known is None and len(self._versions) >= _MOST_STANDING):
            return
        self._versions[key] = version
        if known is not None:
            text = f"{model} {version} speaks, before it was {known}"
            self._alarms.mark(Marker(at=row.at, text=text, task=row.task, model=model))

    def _look(self, now: int) -> Iterator[Told]:
        self._now = max(self._now, now)
        self._streams.tidy(now)
        readings: list[Reading] = self._streams.tick(now)
        for shaping in self._shapes.values():
            readings += shaping.tick(now)
        readings.append(clock_reading(self._clock_set, now))
        readings += self._mending.tick(now)
        self._clock_set = 0.0
        readings += [*self._links.tick(now), *self._crossing.tick(now)]
        if self._windows is not None:
            self._windows.look(now)
        self._standings = None
        return map(self._tell, self._noticed(self._alarms.handle(readings, now)))

    def _acknowledge(self, one: Acknowledged) -> Iterator[Told]:
        try:
            episode = self.find(one.alarm)
            notices = self._alarms.acknowledge(episode.id, one.by, self._now)
        except Misuse:  # said twice, or it is over meanwhile
            self.counts["acknowledged-late"] += 1
            return iter(())
        names = [part.signal for part in episode.contributions]
        self._streams.accept(names)
        self._crossing.accept(names)
        for shaping in self._shapes.values():
            shaping.accept(names)
        self._standings = None
        return map(self._tell, self._noticed(notices))

    def _noticed(self, notices: Sequence[Notice]) -> Sequence[Notice]:
        for one in notices:
            self.counts[one.step] += 1
            if one.step == "ended":
                self._ended.append(one.episode)
        return notices

    def _tell(self, one: Notice) -> Told:
        episode = one.episode
        return Told(f"{episode.id}:{one.step}:{episode.updated}", one.step, episode)

    def _stands(self) -> Any:
        if self._standings is None:
            self._standings = self._alarms.standing(self._now)
        return self._standings


def _judged(signals: Sequence[SignalStanding]) -> tuple[str, ...]:
    """Models that may be blamed. What does not concern how they answer (their memory) is not enough for that."""
    able = {one.of for one in signals if one.watch == "watched" and one.subject == "model" and one.kind != "health"}
    return tuple(sorted(able - {""}))
