"""Is the store kept? The pure core of the watch over those who keep house.

Pictures are deleted by whoever owns them: capture its frames, the decoy its archive. Each says in its role's state how
often it has looked (`roost_broker.room.keeper_counts`). This core is in another process than they are, and alarms:

* `not-run`: a keeper of these settings has not looked for `late_s`, because it is gone, hangs, or never was there.
* `over-budget`: a keeper has looked, and holds more than its budget by a tenth for `late_s`: it cannot delete.
* `floors`: a budget is too small for the newest frames of every label.
* `short`: less than the reserve is free, for `late_s`: somebody else fills the card.
* `closed`: so little is free that no new picture is taken.
* `unseen`: the card itself could not be looked at.

An alarm is said when it begins, and when it ends. Silence is judged at each look at the card, never when somebody
else is heard first, and counts only while somebody could be heard (`deaf`). Time is an argument (ns).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from roost_broker.clock import SECOND
from roost_broker.room import BUDGET, FLOORS_SHORT, HELD, LOOKS, Room
from roost_edge.janitor.settings import StoreSettings

Kind: TypeAlias = Literal["not-run", "over-budget", "floors", "short", "closed", "unseen"]
_OVER: Final = 1.1
"""A keeper deletes after it has taken one more; a tenth over the budget is nobody's normal."""
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something about the store that a person should see to. `who`: a keeper, or empty for the card."""

    kind: Kind
    who: str = ""


@dataclass(frozen=True, slots=True)
class Began:
    """An alarm, with a sentence and what to do."""

    alarm: Alarm
    detail: str


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over."""

    alarm: Alarm


Action: TypeAlias = Began | Ended


@dataclass(frozen=True, slots=True)
class Keeper:
    """What is known of one who keeps house. `looked_ns`: when its number of looks last changed."""

    looks: int = -1
    looked_ns: int = 0
    held: int = 0
    budget: int = 0
    floors_short: bool = False
    over_since_ns: int | None = None


class StoreWatch:
    """See the module's rules."""

    def __init__(self, settings: StoreSettings, keepers: tuple[str, ...], now: int) -> None:
        self._late_ns = settings.late_s * SECOND
        self._reserve = settings.reserve
        self.keepers = {name: Keeper(looked_ns=now) for name in keepers}
        self.room: Room | None = None
        self._short_since_ns: int | None = None
        self.alarms: dict[Alarm, str] = {}

    def said(self, keeper: str, counts: Mapping[str, int], now: int) -> tuple[Action, ...]:
        """A role said how it stands. Roles that keep nothing are of no concern."""
        known = self.keepers.get(keeper)
        if known is None or LOOKS not in counts:
            return ()
        held, budget = counts.get(HELD, 0), counts.get(BUDGET, 0)
        over = held > budget * _OVER
        self.keepers[keeper] = replace(
            known,
            looks=counts[LOOKS],
            looked_ns=now if counts[LOOKS] != known.looks else known.looked_ns,
            held=held,
            budget=budget,
            floors_short=bool(counts.get(FLOORS_SHORT, 0)),
            over_since_ns=(now if known.over_since_ns is None else known.over_since_ns) if over else None,
        )
        return self._judge(now, unseen=Alarm("unseen") in self.alarms, looking=False)

    def deaf(self, now: int) -> None:
        """Nobody could be heard until now, or nobody looked: whoever was not late before is not made so by that."""
        for name, one in self.keepers.items():
            if Alarm("not-run", name) not in self.alarms:
                self.keepers[name] = replace(one, looked_ns=now)

    def measured(self, room: Room | None, now: int) -> tuple[Action, ...]:
        """The card was looked at; None: that failed."""
        self.room = room
        if room is None or not self._reserve.shortage(room):
            self._short_since_ns = None
        elif self._short_since_ns is None:
            self._short_since_ns = now
        return self._judge(now, unseen=room is None, looking=True)

    def _judge(self, now: int, *, unseen: bool, looking: bool) -> tuple[Action, ...]:
        found = {
            alarm: words
            for name, one in self.keepers.items()
            for alarm, words in self._of(name, one, now)
            if looking or alarm.kind != "not-run" or alarm in self.alarms
        }
        if unseen:
            found[Alarm("unseen")] = "The disk of the data folder cannot be looked at. See journalctl -k."
        elif self.room is not None:
            found |= self._of_room(self.room, now)
        began = [Began(alarm, words) for alarm, words in found.items() if alarm not in self.alarms]
        ended = [Ended(alarm) for alarm in self.alarms if alarm not in found]
        self.alarms = found
        return (*began, *ended)

    def _of(self, name: str, one: Keeper, now: int) -> list[tuple[Alarm, str]]:
        found: list[tuple[Alarm, str]] = []
        if now - one.looked_ns >= self._late_ns:
            words = f"The house-keeping of {name} has not run for {self._late_ns // SECOND} s. Is that role well?"
            found.append((Alarm("not-run", name), words))
        if one.over_since_ns is not None and now - one.over_since_ns >= self._late_ns:
            words = f"{name} holds {one.held // _MB} MB of pictures, and its budget is {one.budget // _MB} MB."
            found.append((Alarm("over-budget", name), words))
        if one.floors_short:
            words = (
                f"The budget of {name} has no room for archive.floor_frames of every label. Raise archive.budget_mb."
            )
            found.append((Alarm("floors", name), words))
        return found

    def _of_room(self, room: Room, now: int) -> dict[Alarm, str]:
        free, kept = room.free // _MB, self._reserve.kept(room) // _MB
        if self._reserve.closed(room):
            words = f"{free} MB are free, so no new picture is taken. Make room: du -x -d2 shows what takes it."
            return {Alarm("closed"): words}
        if self._short_since_ns is not None and now - self._short_since_ns >= self._late_ns:
            words = f"{free} MB are free, and {kept} MB should be: pictures give way to something else on the card."
            return {Alarm("short"): words}
        return {}
