"""Rules, the pure core: results in, notices out. No clock, no sockets, no files.

1. A rule about what is seen fires for a result that fits it, then not again for its cooldown. A rule about what is
   absent fires once a day at its time, when nothing that fits came since its beginning.
2. Why a fitting result did not fire has a name, which is counted: `cooldown`, `hours`, `days`, `stale`, `muted`,
   `duplicate`. What does not fit (label, camera, score, zone) is nobody's concern.
3. Defaults and quiet labels fit no rule, unless the rule names the quiet label itself.
4. A camera whose alerts are switched off makes no rule fire; what it sees still is no absence. A rule about absence
   is silent while all of its cameras are switched off.
5. Cooldowns go by the monotonic clock; hours, days and absence by the wall clock, in the zone given. While that clock
   is not set, hours and days hold nothing back (better a notice at the wrong hour than a lost one), and nothing is
   judged to be absent.
6. What was off at its time judges when it is back on the same day. A rule that is new begins with the next day if its
   time is over: nobody knows what was there before it.

What the core does not do: persist. `Keep` says what to keep, `restore` takes it back. Call `expire` before `handle`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from typing import Literal, TypeAlias

from roost_broker.clock import MS, SECOND, looks_synced
from roost_edge.alerts.hours import DAYS, Hours, instant, local, time_of
from roost_edge.alerts.rule_settings import RuleSettings
from roost_edge.alerts.sightings import ResultSeen

Why: TypeAlias = Literal["cooldown", "hours", "days", "stale", "muted", "duplicate"]
_RECENT = 128
"""Requests remembered by each rule: twice what a session holds unacknowledged, so a redelivery fires nothing."""


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What a rule knows of the past."""

    rule: str
    fired_ns: int | None = None
    """Monotonic; None: not since the boot."""
    fired_ms: int = 0
    recent: tuple[str, ...] = ()
    """Requests for which it fired, the newest last."""
    present_on: str = ""
    """Local day on which what it waits for was last seen in time."""
    judged_on: str = ""
    """Local day for which absence was judged last."""


@dataclass(frozen=True, slots=True)
class Fired:
    """Give out a notice."""

    rule: str
    kind: Literal["seen", "absent"]
    at_ns: int
    """Wall clock."""
    event: ResultSeen | None
    caused_by: str
    """Request id, or "expiry"."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep this over a restart."""

    memory: RuleMemory
    caused_by: str


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that fits did not fire, and why."""

    rule: str
    why: Why
    caused_by: str


RuleAction: TypeAlias = Fired | Keep | Held


class Rules:
    """See the module's rules."""

    def __init__(
        self,
        rules: Mapping[str, RuleSettings],
        zone: tzinfo,
        *,
        cameras: Collection[str] = (),
        quiet: Collection[str] = (),
        stale_after_s: float = 900.0,
    ) -> None:
        self._rules = dict(rules)
        self._zone = zone
        self._cameras = tuple(cameras)
        self._quiet = frozenset(quiet)
        self._stale_after = round(stale_after_s * SECOND)
        self._memory = {name: RuleMemory(name) for name in rules}

    @property
    def memory(self) -> tuple[RuleMemory, ...]:
        """What each rule knows, in the order of the settings."""
        return tuple(self._memory.values())

    def restore(self, saved: Iterable[RuleMemory], *, same_boot: bool) -> None:
        """Take back what was kept; of rules that are gone nothing. Of another boot no cooldown is known."""
        for one in saved:
            if one.rule in self._memory:
                self._memory[one.rule] = one if same_boot else replace(one, fired_ns=None)

    def handle(
        self, event: ResultSeen, now: int, wall_ns: int, *, muted: Collection[str] = ()
    ) -> tuple[RuleAction, ...]:
        """Take in one result; `muted` are cameras whose alerts are switched off."""
        actions: list[RuleAction] = []
        for name, rule in self._rules.items():
            if self._fits(rule, event):
                one = self._absence_ended if rule.absent_by else self._seen
                actions += one(name, rule, event, now, wall_ns, event.camera in muted)
        return tuple(actions)

    def expire(self, wall_ns: int, *, muted: Collection[str] = ()) -> tuple[RuleAction, ...]:
        """Judge what should have been seen by now."""
        if not looks_synced(wall_ns):
            return ()
        actions: list[RuleAction] = []
        at = local(wall_ns, self._zone)
        for name, rule in self._rules.items():
            memory, day = self._memory[name], at.date().isoformat()
            if not rule.absent_by or memory.judged_on >= day:
                continue
            over = at.time() >= time_of(rule.absent_by)
            if not over and memory.judged_on:
                continue
            # A new rule is taken to have judged yesterday, and today too if its time is over.
            new = not memory.judged_on
            judged = day if over else (at.date() - timedelta(days=1)).isoformat()
            self._memory[name] = replace(memory, judged_on=judged)
            actions.append(Keep(self._memory[name], "expiry"))
            if new or memory.present_on == day or (rule.days and DAYS[at.weekday()] not in rule.days):
                continue
            if self._all_muted(rule, muted):
                actions.append(Held(name, "muted", "expiry"))
            else:
                actions.append(self._fire(name, "absent", None, None, wall_ns, "expiry", actions))
        return tuple(actions)

    def due_in(self, wall_ns: int) -> int | None:
        """Nanoseconds until absence is to be judged; None where no rule waits or the clock is not set."""
        waits = [rule for rule in self._rules.values() if rule.absent_by]
        if not waits or not looks_synced(wall_ns):
            return None
        today = local(wall_ns, self._zone).date()
        found: list[int] = []
        for rule in waits:
            for day in (today, today + timedelta(days=1)):
                at = instant(day, time_of(rule.absent_by), self._zone)
                if at > wall_ns:
                    found.append(at - wall_ns)
        return min(found)

    def _fits(self, rule: RuleSettings, event: ResultSeen) -> bool:
        if event.label is None or not event.score >= rule.min_score:  # NaN fits nothing
            return False
        named = event.label in rule.labels if rule.labels else event.label not in self._quiet
        zones = [zone.strip() for zone in event.tags.get("zone", "").split(",")]
        return (
            named
            and (not rule.cameras or event.camera in rule.cameras)
            and (not rule.tasks or event.task in rule.tasks)
            and (not rule.zone or rule.zone in zones)
        )

    def _seen(
        self, name: str, rule: RuleSettings, event: ResultSeen, now: int, wall_ns: int, muted: bool
    ) -> list[RuleAction]:
        why = self._held(rule, self._memory[name], event, now, wall_ns, muted)
        if why is not None:
            return [Held(name, why, event.request_id)]
        actions: list[RuleAction] = []
        fired = self._fire(name, "seen", event, now, wall_ns, event.request_id, actions)
        return [fired, *actions]

    def _held(
        self, rule: RuleSettings, memory: RuleMemory, event: ResultSeen, now: int, wall_ns: int, muted: bool
    ) -> Why | None:
        if event.request_id in memory.recent:
            return "duplicate"
        if event.age_ns > self._stale_after:
            return "stale"
        if muted:
            return "muted"
        at = local(wall_ns - event.age_ns, self._zone) if looks_synced(wall_ns) else None
        if at is not None and rule.hours and at.time() not in Hours.parse(rule.hours):
            return "hours"
        if at is not None and rule.days and DAYS[at.weekday()] not in rule.days:
            return "days"
        if memory.fired_ns is not None and now - memory.fired_ns < round(rule.cooldown_s * SECOND):
            return "cooldown"
        return None

    def _absence_ended(
        self, name: str, rule: RuleSettings, event: ResultSeen, _now: int, _wall_ns: int, _muted: bool
    ) -> list[RuleAction]:
        """It is there. Kept once a day, not once a result: each is a write on the card."""
        at_ns = event.at_ms * MS
        if not looks_synced(at_ns):
            return []
        at = local(at_ns, self._zone)
        day = at.date().isoformat()
        memory = self._memory[name]
        if memory.present_on >= day or not time_of(rule.absent_since) <= at.time() < time_of(rule.absent_by):
            return []
        self._memory[name] = replace(memory, present_on=day)
        return [Keep(self._memory[name], event.request_id)]

    def _fire(
        self,
        name: str,
        kind: Literal["seen", "absent"],
        event: ResultSeen | None,
        now: int | None,
        wall_ns: int,
        caused_by: str,
        actions: list[RuleAction],
    ) -> Fired:
        memory = self._memory[name]
        recent = memory.recent if event is None else (*memory.recent, event.request_id)[-_RECENT:]
        fired_ns = memory.fired_ns if now is None else now
        self._memory[name] = replace(memory, fired_ns=fired_ns, fired_ms=wall_ns // MS, recent=recent)
        actions.append(Keep(self._memory[name], caused_by))
        return Fired(name, kind, wall_ns, event, caused_by)

    def _all_muted(self, rule: RuleSettings, muted: Collection[str]) -> bool:
        cameras = rule.cameras or self._cameras
        return bool(cameras) and all(camera in muted for camera in cameras)
