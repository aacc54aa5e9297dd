"""What the injector knows: the newest value of each name with its time, and what of it a request is given. Pure.

Rules:

1. `take` never waits and never fails: what is not there is left out, or stands for itself by the value's stale rule.
2. A value that cannot be read leaves the one before it in place, which goes on ageing; it is counted, with the reason.
3. A name in the settings is the injector's own, with or without a value at the moment: what a request brings under it
   from outside is replaced or removed.
4. A request asked again is given what it was given the first time, as long as it is remembered: its bytes on `input`
   are the same again, so the archive, the models and the rendezvous cannot come to disagree.

Times are monotonic nanoseconds of one boot.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_broker.topics import check_name
from roost_rendezvous.injector.reading import Unreadable, compute, encoded, read
from roost_rendezvous.injector.settings import MAX_VALUES, StateValue

REMEMBERED = 1000
"""Requests whose state is kept in mind for when they are asked again."""

Condition: TypeAlias = Literal["fresh", "stale", "missing"]


class Given(msgspec.Struct, frozen=True):
    """The state of one request, as JSON by name, and the age of each value in milliseconds."""

    state: dict[str, msgspec.Raw] = {}
    ages: dict[str, int] = {}
    at_ms: int = 0
    """Wall clock when it was first given."""


@dataclass(frozen=True, slots=True)
class Look:
    """One value as somebody is shown it. `given` is JSON of what a request would get, None for nothing."""

    name: str
    source: str
    condition: Condition
    given: bytes | None
    age_ms: int | None
    problem: str = ""


class Kept(msgspec.Struct, frozen=True):
    """A value and when it was true."""

    json: msgspec.Raw
    at: int


@dataclass(slots=True)
class _Slot:
    rule: StateValue
    stale_ns: int | None
    default: msgspec.Raw | None
    kept: Kept | None = None
    problem: str = ""
    counted_stale: bool = False


@dataclass(slots=True)
class StateKeeper:
    """See the module's rules. Raises `Misuse` for names that cannot be."""

    values: Mapping[str, StateValue] = field(default_factory=dict)
    counts: "Counter[str]" = field(default_factory=Counter)
    """state-read, state-unreadable, state-stale (each time a value becomes so), state-overridden, state-again."""

    def __post_init__(self) -> None:
        if len(self.values) > MAX_VALUES:
            raise Misuse(f"{len(self.values)} values of state are too many.", f"Name at most {MAX_VALUES}.")
        for name in self.values:
            check_name("state value", name)
        self._slots = {
            name: _Slot(
                rule,
                rule.stale_ns,
                None if rule.default is None else msgspec.Raw(msgspec.json.encode(rule.default)),
            )
            for name, rule in self.values.items()
        }
        self._computed = [(name, rule) for name, rule in self.values.items() if rule.computed]
        self._computed_in = -1
        self._given: OrderedDict[str, Given] = OrderedDict()

    _slots: dict[str, _Slot] = field(init=False)
    _computed: list[tuple[str, StateValue]] = field(init=False)
    _computed_in: int = field(init=False)
    _given: "OrderedDict[str, Given]" = field(init=False)

    # -- values come in -----------------------------------------------------------------------------------------

    def put(self, name: str, data: bytes, now: int, *, age_ns: int = 0) -> str:
        """A reading of a source. Returns why it is unreadable, or nothing."""
        try:
            self._keep(name, read(data, self._slots[name].rule), now - age_ns)
        except Unreadable as error:
            return self.unreadable(name, str(error))
        return ""

    def unreadable(self, name: str, why: str) -> str:
        """A source could not be read."""
        self.counts["state-unreadable"] += 1
        self._slots[name].problem = why[:200]
        return self._slots[name].problem

    def compute(self, wall_ns: int, utc_offset_s: int, now: int) -> None:
        """Renew what is computed, once a second."""
        if wall_ns // SECOND == self._computed_in:
            return
        self._computed_in = wall_ns // SECOND
        for name, rule in self._computed:
            self._keep(name, compute(rule, wall_ns, utc_offset_s), now)

    @property
    def computes(self) -> bool:
        """Whether `compute` has anything to do."""
        return bool(self._computed)

    # -- requests are given theirs ------------------------------------------------------------------------------

    def take(self, request_id: str, now: int, wall_ms: int) -> Given:
        """The state for a request, remembered under its id."""
        given = self._given.get(request_id)
        if given is not None:
            self.counts["state-again"] += 1
            return given
        state: dict[str, msgspec.Raw] = {}
        ages: dict[str, int] = {}
        for name, slot in self._slots.items():
            kept = slot.kept
            if kept is not None and (slot.stale_ns is None or now - kept.at < slot.stale_ns):
                slot.counted_stale = False
            elif kept is not None and not slot.counted_stale:
                slot.counted_stale = True
                self.counts["state-stale"] += 1
            if kept is not None and (not slot.counted_stale or slot.rule.when_stale == "keep"):
                state[name] = kept.json
                ages[name] = max(0, now - kept.at) // MS
            elif slot.default is not None:
                state[name] = slot.default
        given = Given(state, ages, wall_ms)
        self._given[request_id] = given
        if len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return given

    def look(self, now: int) -> tuple[Look, ...]:
        """What a request would be given now, and why."""
        return tuple(self._look(name, slot, now) for name, slot in self._slots.items())

    # -- one injector hands over to the next --------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """What a successor must know, as JSON values."""
        values = {name: slot.kept for name, slot in self._slots.items() if slot.kept and not slot.rule.computed}
        return {"values": values, "given": dict(self._given)}

    def restore(self, values: Mapping[str, Kept], given: Mapping[str, Given]) -> None:
        """Go on from a predecessor's knowledge; what is newer here stays."""
        for name, theirs in values.items():
            slot = self._slots.get(name)
            if slot is not None and (slot.kept is None or slot.kept.at < theirs.at):
                slot.kept = Kept(msgspec.Raw(bytes(theirs.json)), theirs.at)
        for request_id, state in list(given.items())[-REMEMBERED:]:
            self._given.setdefault(request_id, state)
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)

    def _keep(self, name: str, value: Any, at: int) -> None:
        slot = self._slots[name]
        slot.kept = Kept(msgspec.Raw(encoded(value, slot.rule)), at)
        slot.problem = ""
        self.counts["state-read"] += 1

    def _look(self, name: str, slot: _Slot, now: int) -> Look:
        kept = slot.kept
        stale = kept is not None and slot.stale_ns is not None and now - kept.at >= slot.stale_ns
        condition: Condition = "missing" if kept is None else "stale" if stale else "fresh"
        given: bytes | None = None if slot.default is None else bytes(slot.default)
        if kept is not None and (not stale or slot.rule.when_stale == "keep"):
            given = bytes(kept.json)
        age_ms = None if kept is None else max(0, now - kept.at) // MS
        return Look(name, slot.rule.source, condition, given, age_ms, slot.problem)
