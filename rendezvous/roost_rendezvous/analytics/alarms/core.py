"""The alarms' core: readings in, notices out. Pure; time is an argument (nanoseconds, wall clock).

    core.handle(readings, now)         -> notices     each tick, e.g. once a minute
    core.expire(now)                   -> notices     what is due, also when nobody speaks
    core.deadline()                    -> when `expire` has something to do, or None
    core.acknowledge(id, by, now)      -> notices     this is the new normal
    core.mark(marker)                                 something was done on purpose
    core.standing(now)                                every signal, and why it cannot page if it cannot

Rules that must hold:

1. A signal without enough history or events never takes part (`Roster.active`).
2. A page is an episode that opens, and nothing else is. What becomes strange while one is open joins it, unless it is
   of another task and comes later than `join_minutes`.
3. The composite is held against its own history alone, so what is usual pages about `alarms_per_week` times.
4. An episode ends when nothing of it was strange for `calm_minutes`, or a new normal was declared and holds.
5. While it is open its signals are learnt aside: an alarm does not make itself usual.

What it does not do: it gives no advice on thresholds of single signals, and looks at no message.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from roost_broker.errors import Malformed
from roost_rendezvous.analytics.alarms.bins import SURPRISES
from roost_rendezvous.analytics.alarms.composite import Composite
from roost_rendezvous.analytics.alarms.episode import Episode, Marker, Notice
from roost_rendezvous.analytics.alarms.keeper import Keeper
from roost_rendezvous.analytics.alarms.look import Look, Looking
from roost_rendezvous.analytics.alarms.roster import Roster
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.alarms.standing import SignalStanding, Standing, Watch
from roost_rendezvous.analytics.reading import Reading

_DAY_NS = 86_400_000_000_000
_MOST_OPENED = 4_000
_ASIDE = 4 * SURPRISES.count
_SCHEMA = "roost.alarm-history/1"
_BEGIN_ANEW = "Delete the file; a week later there is a history again."


class AlarmCore:
    """All tasks of one device (or of many): one budget, one composite."""

    def __init__(self, settings: AnalyticsAlarmSettings | None = None) -> None:
        self.settings = settings or AnalyticsAlarmSettings()
        self._roster = Roster(self.settings)
        self._looking = Looking(self.settings)
        self._composite = Composite(
            self.settings.ns("calm_minutes"),
            self.settings.ns("history_days"),
            self.settings.ns("least_calibration_hours"),
        )
        self._keeper = Keeper(self.settings)
        self._opened: deque[int] = deque(maxlen=_MOST_OPENED)

    @property
    def open(self) -> tuple[Episode, ...]:
        """Episodes that are not over, oldest first."""
        return self._keeper.episodes

    @property
    def bytes_per_signal(self) -> int:
        """Memory of a signal's arrays: its history, what is common to it and others, and a history aside."""
        looking, histories = self._looking.common, self._roster.histories
        arrays = histories.bytes_per_row + looking.own.bytes_per_row + self._looking.bytes_per_row
        return arrays + 2 * 8 * self.settings.max_common + _ASIDE

    def handle(self, readings: Iterable[Reading], now: int) -> tuple[Notice, ...]:
        """One tick: whatever monitors have to say. Signals that say nothing count as they last were for a while."""
        spoke = self._roster.take(readings, now)
        rows = self._roster.active(now)
        if not len(rows):
            return self.expire(now)
        look = self._looking.tick(rows, self._roster.nines[rows], spoke, now)
        notices = self._judge(look, now)
        return (*notices, *self.expire(now))

    def expire(self, now: int) -> tuple[Notice, ...]:
        """End what is calm; declare a new normal where something has been strange for `settle_hours`."""
        for running in self._keeper.to_settle(now):
            self._take_as_normal(set(running.parts))
        notices = []
        for running, notice in self._keeper.end(now):
            self._roster.histories.went_by(running.parts)
            self._looking.went_by(set(running.parts))
            notices.append(notice)
        return tuple(notices)

    def deadline(self) -> int | None:
        """When `expire` has something to do; None while nothing is open."""
        return self._keeper.deadline()

    def acknowledge(self, episode_id: str, by: str, now: int) -> tuple[Notice, ...]:
        """A person knows of it: what it is now is the new normal. Again, or of an ended one: `Misuse`."""
        running = self._keeper.acknowledge(episode_id, by, now)
        self._take_as_normal(set(running.parts))
        return (Notice(step="acknowledged", episode=self._keeper.tell(running, now)),)

    def mark(self, marker: Marker) -> None:
        """Remember what was done on purpose, to show it with what follows (requirement L7)."""
        self._keeper.mark(marker)

    def _judge(self, look: Look, now: int) -> tuple[Notice, ...]:
        composite, keeper = self._composite, self._keeper
        statistics = look.statistics()
        looked = composite.look(statistics)
        threshold = composite.threshold(self.settings.alarms_per_week)
        keeper.see(look, self._roster.readings, now)
        for running in keeper.running:
            others = keeper.rows - running.parts.keys()
            mine = looked if not others else composite.look(look.statistics(frozenset(others)))
            if mine.value >= threshold:
                keeper.strange(running, mine, composite.per_week(mine), now)
        rest = looked
        if keeper.rows:
            rest = composite.look(look.statistics(frozenset(keeper.rows)))
        opened: tuple[Notice, ...] = ()
        if rest.value >= threshold:
            rarity = composite.per_week(rest)
            opened = keeper.open_or_join(look, rest, rarity, self._roster.readings, self._roster.signals, now)
            self._opened.extend(now for _ in opened)
        composite.learn(statistics, looked, now)
        aside = {row for one in keeper.running if one.settled is None for row in one.parts}
        self._roster.histories.set_aside(aside)
        self._looking.set_aside(aside)
        return opened + keeper.updates(look, self._roster.signals, now)

    def _take_as_normal(self, rows: set[int]) -> None:
        self._roster.new_normal(rows)
        self._looking.forget(rows)

    def standing(self, now: int) -> Standing:
        """Every signal, strangest first; and why it cannot page, where it cannot."""
        watched = self._composite.watched_ns
        least = self.settings.ns("least_calibration_hours")
        active = {int(row) for row in self._roster.active(now)}
        signals = [self._signal(row, row in active) for row in range(len(self._roster.signals))]
        signals.sort(key=lambda one: (one.watch != "watched", -(one.nines or 0.0), one.signal))
        hour = 3_600_000_000_000
        return Standing(
            at=now,
            budget_per_week=self.settings.alarms_per_week,
            watched_days=round(watched / _DAY_NS, 2),
            ready=self._composite.ready,
            why_not=""
            if self._composite.ready
            else f"not watched long enough: {watched // hour} of {least // hour} hours",
            opened_last_week=sum(at > now - 7 * _DAY_NS for at in self._opened),
            opened_last_four_weeks=sum(at > now - 28 * _DAY_NS for at in self._opened),
            factors=self._looking.common.factors if self._looking.common.in_use else 0,
            left_out=self._roster.left_out,
            signals=tuple(signals),
        )

    def _signal(self, row: int, active: bool) -> SignalStanding:
        signal, why_not = self._roster.known(row)
        reading = self._roster.readings[row]
        watch: Watch = "watched" if active else "not-enough-history" if why_not else "silent"
        episode = next((one.id for one in self._keeper.running if row in one.parts), "")
        return SignalStanding(
            signal=signal.name,
            task=signal.task,
            kind=signal.kind,
            subject=signal.subject,
            of=signal.of,
            part=signal.part,
            side=signal.side,
            watch=watch,
            why_not=why_not,
            nines=round(float(self._roster.nines[row]), 3) if active else None,
            lasting=round(self._looking.lasting(row), 3) if active else None,
            episode=episode,
            at=reading.at,
            normal=reading.normal,
            now=reading.now,
            unit=reading.unit,
            sentence=reading.sentence,
        )

    def snapshot(self) -> dict[str, Any]:
        """JSON-able; `restore` it into a core with the same settings."""
        return {
            "schema": _SCHEMA,
            "roster": self._roster.snapshot(),
            "looking": self._looking.snapshot(),
            "composite": self._composite.snapshot(),
            "keeper": self._keeper.snapshot(),
            "opened": list(self._opened),
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave. Something else: `Malformed`, and the core is as it was made."""
        fresh = AlarmCore(self.settings)
        try:
            if kept["schema"] != _SCHEMA:
                raise Malformed(f"The alarms' history says that it is {kept['schema']!r}.", _BEGIN_ANEW)
            fresh._roster.restore(kept["roster"])
            fresh._looking.restore(kept["looking"])
            fresh._composite.restore(kept["composite"])
            fresh._keeper.restore(kept["keeper"])
            fresh._opened.extend(kept["opened"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise Malformed(f"The alarms' history cannot be read: {error!r}.", _BEGIN_ANEW) from error
        self.__dict__ = fresh.__dict__
