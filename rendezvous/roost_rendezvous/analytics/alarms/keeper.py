"""Open episodes: who belongs to which, when one opens, is told anew, settles and ends. Pure.

What it needs to know of the composite is told to it; it decides on times and on belonging.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.alarms.bins import Whole
from roost_rendezvous.analytics.alarms.composite import Looked
from roost_rendezvous.analytics.alarms.episode import Ending, Episode, Marker, Notice
from roost_rendezvous.analytics.alarms.look import Look
from roost_rendezvous.analytics.alarms.running import Running, Seen
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.alarms.verdict import Mover, judge
from roost_rendezvous.analytics.reading import Reading, Signal

_PART_NINES = 1.3
"""From here a signal is part of an episode that opens: stranger than 19 of 20 of its readings."""
_MOVED_NINES = 4.0
"""From here it has moved, whatever it did before and after; or if for an hour its urgency was so on average:"""
_MOVED_LASTING = 1.0
_COMPANION = 4.0
"""What is so many times less urgent than the most urgent one is strange by chance: no verdict comes of it."""
_WITNESS = 2.0
"""So it is with witnesses beside the most urgent model: what moved both moves them about alike."""
_WITNESSES = ("canary", "camera", "input")
_STILL_LASTING = 1.5
"""While a signal of an episode is so on average over the last hour, the episode is not calm."""
_BEGAN_LASTING = 0.8
"""Below it, and below `_PART_NINES` now, a signal is not strange."""


class Keeper:
    """Bounded by `max_open` and `max_markers`."""

    def __init__(self, settings: AnalyticsAlarmSettings) -> None:
        self._settings = settings
        self.running: list[Running] = []
        self._markers: deque[Marker] = deque(maxlen=settings.max_markers)
        self._since: dict[int, int] = {}
        self._serial = 0

    @property
    def rows(self) -> set[int]:
        """Rows that are part of an open episode."""
        return {row for running in self.running for row in running.parts}

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Open ones as the outside has them, as they were last told."""
        return tuple(self.tell(running, running.told) for running in self.running)

    def mark(self, marker: Marker) -> None:
        """Remember it; the same one twice counts once."""
        if marker not in self._markers:
            self._markers.append(marker)

    def see(self, look: Look, readings: Sequence[Reading], now: int) -> None:
        """Since when each signal is strange; and what the signals of open episodes are doing."""
        strange = (look.nines >= _PART_NINES) | (look.lasting >= _BEGAN_LASTING)
        self._since = {int(row): self._since.get(int(row), now) for row in look.rows[strange]}
        if not self.running:
            return
        moved = (look.nines >= _MOVED_NINES) | (look.lasting >= _MOVED_LASTING)
        taken = self.rows
        for running in self.running:
            task = running.task
            mine = np.isin(look.rows, list(running.parts))
            for seen in _seen(look, np.flatnonzero(mine), readings):
                running.see(seen, self._since.get(seen.row, now))
                if seen.lasting >= _STILL_LASTING:
                    running.strange = now
            for seen in _seen(look, np.flatnonzero(moved & ~np.isin(look.rows, list(taken))), readings):
                if seen.reading.signal.task == task:
                    running.see(seen, self._since[seen.row])
                    taken.add(seen.row)

    def strange(self, running: Running, looked: Looked, per_week: float, now: int) -> None:
        """It is as strange as makes an alarm."""
        running.strange = now
        if per_week < running.per_week:
            running.per_week, running.how = per_week, looked.way

    def open_or_join(
        self,
        look: Look,
        looked: Looked,
        per_week: float,
        readings: Sequence[Reading],
        signals: Sequence[Signal],
        now: int,
    ) -> tuple[Notice, ...]:
        """What is strange beside all that is known: part of an open episode, or a new one (the only page there is)."""
        rest = np.flatnonzero(~np.isin(look.rows, list(self.rows)))
        seen = sorted(_seen(look, rest, readings), key=lambda one: -one.urgency)
        if not seen:
            return ()
        parts = [one for one in seen if one.nines >= _PART_NINES or one.lasting >= _BEGAN_LASTING] or seen[:1]
        running = self._home(seen[0].reading.signal.task, now)
        joins = running is not None
        if running is None:
            self._serial += 1
            running = Running(
                id=f"{now // 1_000_000:012x}{self._serial & 0xFFFF:04x}",
                opened=now,
                strange=now,
                told=now,
                per_week=per_week,
                how=looked.way,
            )
            self.running.append(running)
        for one in parts:
            running.see(one, self._since.get(one.row, now))
        self.strange(running, looked, per_week, now)
        if joins:
            return ()
        running.said = self._judge(running, look, signals)
        return (Notice(step="opened", episode=self.tell(running, now)),)

    def updates(self, look: Look, signals: Sequence[Signal], now: int) -> tuple[Notice, ...]:
        """Tell again those whose verdict, first signal or circle has changed; not more often than `update_minutes`."""
        notices = []
        for running in self.running:
            if running.state == "open" and now - running.told >= self._settings.ns("update_minutes"):
                said = self._judge(running, look, signals)
                if said != running.said:
                    running.said, running.told = said, now
                    notices.append(Notice(step="updated", episode=self.tell(running, now)))
        return tuple(notices)

    def acknowledge(self, episode_id: str, by: str, now: int) -> Running:
        """The episode, acknowledged. One that is not open: `Misuse`."""
        running = next((one for one in self.running if one.id == episode_id), None)
        if running is None:
            raise Misuse(f"No episode {episode_id} is open.", "It may have ended; `roost alarms` lists those that are.")
        if running.state != "open":
            who = running.acknowledged_by or "somebody"
            raise Misuse(f"Episode {episode_id} was acknowledged by {who} already.", "Nothing is left to do.")
        running.state, running.acknowledged, running.acknowledged_by = "acknowledged", now, by
        running.settled = running.told = now
        return running

    def to_settle(self, now: int) -> list[Running]:
        """Those strange for `settle_hours` since they opened, or since their last new normal; marked as settled."""
        due = [one for one in self.running if now >= self._settles(one) and now < self._calm(one)]
        for running in due:
            running.settled = now
        return due

    def end(self, now: int) -> list[tuple[Running, Notice]]:
        """Those that are calm are over."""
        over = [running for running in self.running if now >= self._calm(running)]
        self.running = [running for running in self.running if running not in over]
        return [
            (
                running,
                Notice(
                    step="ended", episode=self.tell(running, now, "calm" if running.settled is None else "new-normal")
                ),
            )
            for running in over
        ]

    def deadline(self) -> int | None:
        """When something is due next."""
        return min((min(self._calm(one), self._settles(one)) for one in self.running), default=None)

    def tell(self, running: Running, now: int, ending: Ending = "") -> Episode:
        """As the outside has it."""
        return running.tell(now, self._settings.max_contributions, self._around(running), ending)

    def _calm(self, running: Running) -> int:
        return running.strange + self._settings.ns("calm_minutes") + 1

    def _settles(self, running: Running) -> int:
        since = running.opened if running.settled is None else running.settled
        return since + self._settings.ns("settle_hours")

    def _home(self, task: str, now: int) -> Running | None:
        """The open episode that what is strange in `task` belongs to."""
        for running in reversed(self.running):
            same = task == running.task or not task or not running.task
            if same or now - running.opened <= self._settings.ns("join_minutes"):
                return running
        return self.running[-1] if len(self.running) >= self._settings.max_open else None

    def _around(self, running: Running) -> list[Marker]:
        """Markers of its tasks, shortly before it and since; newest first."""
        tasks = {part.reading.signal.task for part in running.parts.values()} | {""}
        first = running.opened - self._settings.ns("marker_hours")
        found = [one for one in self._markers if one.at >= first and (one.task in tasks or not running.task)]
        return sorted(found, key=lambda one: -one.at)

    def _judge(self, running: Running, look: Look, signals: Sequence[Signal]) -> str:
        """Its verdict from who moved and who did not; gives what would be told, to compare."""
        moved = [
            row
            for row in running.ranked
            if running.parts[row].nines >= _MOVED_NINES or running.parts[row].lasting >= _MOVED_LASTING
        ]
        if not moved:  # many moved slightly
            ranked = running.ranked
            first = running.parts[ranked[0]].urgency
            moved = [row for row in ranked if running.parts[row].urgency >= first / 2.0]
        quiet = [signals[int(row)] for row in look.rows if int(row) not in moved]
        strange, moved = len(moved), self._beside(running, moved, signals)
        movers = [Mover(signals[row], running.parts[row].since) for row in moved]
        running.verdict, running.reasons = judge(movers, quiet, self._around(running))
        return f"{running.verdict} {moved[0]} {strange}"

    def _beside(self, running: Running, moved: list[int], signals: Sequence[Signal]) -> list[int]:
        """Those of `moved` that are urgent enough beside the others to be evidence."""
        urgent = {row: running.parts[row].urgency for row in moved}
        models = max((urgent[row] for row in moved if signals[row].subject == "model"), default=0.0)
        least = max(urgent.values()) / _COMPANION
        return [
            row
            for row in moved
            if urgent[row] >= (max(least, models / _WITNESS) if signals[row].subject in _WITNESSES else least)
        ]

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "running": msgspec.to_builtins(self.running, str_keys=True),
            "markers": msgspec.to_builtins(list(self._markers)),
            "since": {str(row): at for row, at in self._since.items()},
            "serial": self._serial,
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self.running = msgspec.convert(kept["running"], list[Running], str_keys=True)
        self._markers.extend(msgspec.convert(kept["markers"], list[Marker]))
        self._since = {int(row): at for row, at in kept["since"].items()}
        self._serial = kept["serial"]


def _seen(look: Look, places: Whole, readings: Sequence[Reading]) -> list[Seen]:
    """Signals at `places` of `look`. Where all move together, the strangest by itself is first; else beside others."""
    found = []
    all_together = len(look.together) > 0 and float(look.together.max()) >= float(look.beside.max())
    for place in places:
        row = int(look.rows[place])
        nines, lasting = float(look.nines[place]), float(look.lasting[place])
        now = nines if all_together else float(look.beside[place])
        beside = float(look.beside[place]) if look.split else None
        urgency = max(0.0, now, float(look.beside_lasting[place]))
        found.append(Seen(row, readings[row], nines, beside, lasting, urgency))
    return found
