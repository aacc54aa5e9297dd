"""A naive second opinion on the rendezvous: given everything that happened, who had to answer, and when.

Deliberately written the other way round from the core: no timers, no tables, no state between events; it walks
the whole history of one request and asks at every moment that could matter.
"""

from dataclasses import dataclass, field

from roost_broker.clock import MS
from roost_rendezvous.schedule import ANY, Schedule


@dataclass
class Happening:
    """`kind` is request, score, decline, up, gone or schedule."""

    at: int
    kind: str
    request_id: str = ""
    model: str = ""
    opened: int = 0
    deadline_ms: int = 0
    override: Schedule | None = None
    schedule: Schedule | None = None


@dataclass
class Verdict:
    at: int
    model: str | None
    cause: str


@dataclass
class _View:
    schedule: Schedule
    start: int
    default_age: int
    override: bool
    answered: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)


def expected(history: list[Happening], request_id: str, first_schedule: Schedule, early_ns: int, end: int) -> Verdict:
    """The verdict on one request, from the whole history up to the time `end`."""
    schedule = first_schedule
    ups: set[str] = set()
    known: set[str] = set()
    early: list[Happening] = []
    view: _View | None = None
    for index, what in enumerate([*history, Happening(end, "end")]):
        if view is not None:
            verdict = _by_time(view, ups, known, history[index - 1].at, what.at)
            if verdict is not None:
                return verdict
        if what.kind == "up":
            ups.add(what.model)
            known.add(what.model)
        elif what.kind == "gone":
            ups.discard(what.model)
            known.add(what.model)
        elif what.kind == "schedule":
            assert what.schedule is not None
            schedule = what.schedule
        elif what.request_id == request_id and what.kind == "request" and view is None:
            view = _opened(what, what.override or schedule)
            held_since = early[0].at if early else what.at
            if what.at < held_since + early_ns:
                for word in early:
                    _said(view, word)
        elif what.request_id == request_id and view is None and what.kind in ("score", "decline"):
            if early and what.at >= early[0].at + early_ns:
                early = []
            early.append(what)
        elif what.request_id == request_id and view is not None:
            _said(view, what)
        if view is not None:
            verdict = _now(view, ups, known, what.at)
            if verdict is not None:
                return verdict
    raise AssertionError(f"{request_id} was never answered, and that by the rule itself")


def _opened(what: Happening, schedule: Schedule) -> _View:
    opened = min(what.opened, what.at)
    age, deadline, travel = what.at - opened, what.deadline_ms * MS, (schedule.sla_ms - schedule.default.after_ms) * MS
    if age >= deadline:
        start, own = what.at, deadline
    elif age >= schedule.sla_ms * MS:
        start, own = what.at, deadline - age
    else:
        start, own = opened, deadline
    hurried = own // 2 if own < 2 * travel else own - travel
    return _View(schedule, start, min(schedule.default.after_ms * MS, hurried), what.override is not None)


def _said(view: _View, what: Happening) -> None:
    if what.kind == "score":
        view.declined.discard(what.model)
        view.answered.add(what.model)
    elif what.kind == "decline" and what.model not in view.answered:
        view.declined.add(what.model)


def _by_time(view: _View, ups: set[str], known: set[str], after: int, until: int) -> Verdict | None:
    moments = sorted(view.start + age for age in [*(s.after_ms * MS for s in view.schedule.steps), view.default_age])
    for moment in moments:
        if after < moment <= until:
            verdict = _now(view, ups, known, moment)
            if verdict is not None:
                return verdict
    return None


def _now(view: _View, ups: set[str], known: set[str], now: int) -> Verdict | None:
    schedule = view.schedule
    over = now - view.start >= view.default_age
    begun = [s for s in schedule.steps if over or s.after_ms * MS <= now - view.start]
    official = {m for m in view.answered if _accepted(schedule, begun, m)}
    if official:
        return _verdict(view, now, min(official, key=lambda m: _order(schedule, m)))
    possible = {m for m in view.answered if _accepted(schedule, list(schedule.steps), m)}
    if possible:
        best = min(possible, key=lambda m: _order(schedule, m))
        strangers = {m for m in ups if _accepted(schedule, list(schedule.steps), m) and m not in schedule.named}
        rivals = {m for m in set(schedule.named) | strangers if _order(schedule, m) < _order(schedule, best)}
        if all(m in view.declined or (m in known and m not in ups) for m in rivals):
            return _verdict(view, now, best)
        return None
    if over:
        return _verdict(view, now, None)
    wild = any(ANY in s.accept for s in schedule.steps)
    hopes = set(schedule.named) | ({m for m in known if m not in schedule.ignore} if wild else set())
    if hopes and hopes <= view.declined:
        return _verdict(view, now, None)
    return None


def _accepted(schedule: Schedule, steps: list, model: str) -> bool:  # type: ignore[type-arg]  # list[Step]
    return model not in schedule.ignore and any(model in s.accept or ANY in s.accept for s in steps)


def _order(schedule: Schedule, model: str) -> tuple[int, str]:
    named = schedule.named
    return (named.index(model) if model in named else len(named), model)


def _verdict(view: _View, now: int, model: str | None) -> Verdict:
    if model is None:
        return Verdict(now, None, "default")
    first = [view.schedule.steps[0]]
    cause = "preferred" if _accepted(view.schedule, first, model) else "fallback"
    return Verdict(now, model, "override" if view.override else cause)
