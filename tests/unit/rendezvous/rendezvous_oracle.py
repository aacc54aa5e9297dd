"""A naive second opinion on the rendezvous: given everything that happened, who had to answer, and when.

Deliberately written the other way round from the core: no timers, no tables, no plans, no state between requests; it
walks the whole history of one request and asks at every moment that could matter. Who is preferred, sampled or
outvoted is worked out anew each time from the schedule as it was written.
"""

import hashlib
from dataclasses import dataclass, field

from roost_broker.clock import MS, SECOND
from roost_rendezvous.schedule import ANY, Schedule


@dataclass
class Happening:
    """`kind` is request, score, decline, up, gone, schedule, token, said or ended (the last two of a predecessor)."""

    at: int
    kind: str
    request_id: str = ""
    model: str = ""
    replica: int = 0
    label: str = ""
    score: float = 0.0
    opened: int = 0
    deadline_ms: int = 0
    override: Schedule | None = None
    tags: dict[str, str] = field(default_factory=dict)
    attempt: int = 1
    schedule: Schedule | None = None
    side: str = ""
    open_ids: tuple[str, ...] = ()
    answered_ids: tuple[str, ...] = ()


@dataclass
class Verdict:
    """What had to happen to one request that this server took, at `taken`."""

    at: int
    model: str | None
    cause: str
    label: str
    taken: int
    start: int
    deadline_ms: int
    late: bool
    version: str
    cohort: str
    propensity: float | None


@dataclass
class _View:
    """One request that was taken: its schedule, and what was said about it in order."""

    schedule: Schedule
    request: Happening
    taken: int
    start: int
    default_age: int
    late: bool
    promoted: str
    said: list[Happening] = field(default_factory=list)

    def answered(self, model: str) -> bool:
        return any(word.kind == "score" and word.model == model for word in self.said)

    def declined(self, model: str) -> bool:
        if self.answered(model):
            return False
        share = self.schedule.sample.get(model, 1.0)
        return _place(model, self.request.request_id) >= share or any(word.model == model for word in self.said)


@dataclass
class _Models:
    replicas: dict[tuple[str, int], bool] = field(default_factory=dict)

    def known(self) -> set[str]:
        return {model for model, _ in self.replicas}

    def ups(self) -> set[str]:
        return {model for (model, _), up in self.replicas.items() if up}

    def gone(self, model: str) -> bool:
        return model in self.known() and model not in self.ups()


def expected(
    history: list[Happening],
    request_id: str,
    first_schedule: Schedule,
    early_ns: int,
    end: int,
    *,
    phase: str = "alone",
) -> Verdict | None:
    """The verdict on one request, from the whole history up to `end`; None = this server never had to answer it."""
    schedule, models = first_schedule, _Models()
    early: list[Happening] = []
    view: _View | None = None
    held: tuple[Happening, int] | None = None
    theirs = spoken = ended = done_there = False
    for index, what in enumerate([*history, Happening(end, "end")]):
        before = history[index - 1].at if index else 0
        if held is not None and held[1] <= what.at:
            view = _taken(held[0], held[1], schedule)
            view.said = early if not early or held[1] <= early[0].at + early_ns else []
            before, held = held[1] - 1, None
        if view is not None:
            verdict = _by_time(view, models, before, what.at)
            if verdict is not None:
                return verdict
        if early and what.at >= early[0].at + early_ns:
            early = []
        mine = what.request_id == request_id
        release = False
        if what.kind in ("up", "gone"):
            models.replicas[what.model, what.replica] = what.kind == "up"
        elif what.kind == "schedule":
            assert what.schedule is not None
            schedule = what.schedule
        elif what.kind == "token":
            if what.side == "old" and phase in ("alone", "successor"):
                phase, early, release = "finishing", early if held is not None else [], held is not None
            elif what.side == "new" and phase == "standby":
                phase = "successor"
        elif what.kind in ("said", "ended") and phase in ("standby", "successor"):
            ended = ended or what.kind == "ended"
            spoken, release = True, held is not None
            done_there = done_there or (request_id in what.answered_ids and view is None)
            theirs = not ended and not done_there and request_id in what.open_ids
            if what.kind == "said" and (theirs or request_id in what.answered_ids) and view is None:
                early, held, release = [], None, False
        elif mine and what.kind == "request" and view is None and held is None and not done_there and not theirs:
            if phase == "successor" and not spoken and what.attempt > 1:
                left = _taken(what, what.at, schedule)
                held = what, what.at + max(0, min(SECOND, (left.start + left.default_age - what.at) // 2))
            elif phase in ("alone", "successor"):
                view = _taken(what, what.at, schedule)
                view.said = early
        elif mine and what.kind in ("score", "decline"):
            if view is not None:
                _hear(view, what)
            elif phase in ("alone", "successor") and not theirs and not done_there:
                early.append(what)
        if release and held is not None:
            view = _taken(held[0], what.at, schedule)
            view.said, held = early, None
        if view is not None:
            verdict = _now(view, models, what.at)
            if verdict is not None:
                return verdict
    assert view is None, f"{request_id} was never answered, and that by the rule itself"
    return None


def _taken(what: Happening, at: int, in_force: Schedule) -> _View:
    schedule = what.override or in_force
    opened = min(what.opened, at)
    age, deadline, travel = at - opened, what.deadline_ms * MS, (schedule.sla_ms - schedule.default.after_ms) * MS
    if age >= deadline:
        start, own = at, deadline
    elif age >= schedule.sla_ms * MS:
        start, own = at, deadline - age
    else:
        start, own = opened, deadline
    hurried = own // 2 if own < 2 * travel else own - travel
    default_age = min(schedule.default.after_ms * MS, hurried)
    return _View(schedule, what, at, start, default_age, age >= deadline, _promoted(schedule, what))


def _place(name: str, key: str) -> float:
    return int(hashlib.sha256(f"{name}\0{key}".encode()).hexdigest()[:16], 16) / 2**64


def _promoted(schedule: Schedule, request: Happening) -> str:
    """The model that this request prefers by roll-out or by lot."""
    lot = _place("", request.request_id)
    for name, chance in sorted(schedule.random.items()):
        if lot < chance:
            return name
        lot -= chance
    key = request.tags.get(schedule.cohort_tag, request.request_id)
    return next((name for name, share in schedule.rollout.items() if _place(name, key) < share), "")


def _hear(view: _View, what: Happening) -> None:
    if view.answered(what.model):
        return
    if what.kind == "score" or not any(word.model == what.model for word in view.said):
        view.said.append(what)


def _by_time(view: _View, models: _Models, after: int, until: int) -> Verdict | None:
    ages = [*(step.after_ms * MS for step in view.schedule.steps), view.default_age]
    moments = {view.taken, *(max(view.start + age, view.taken) for age in ages)}
    for moment in sorted(moments):
        if after < moment <= until:
            verdict = _now(view, models, moment)
            if verdict is not None:
                return verdict
    return None


def _now(view: _View, models: _Models, now: int) -> Verdict | None:
    age = now - view.start
    over = age >= view.default_age
    everybody = {word.model for word in view.said} | set(view.schedule.quorum)
    answers = {name for name in everybody if _has_answered(view, name) and _from(view, name) is not None}
    if answers:
        best = min(answers, key=lambda name: _order(view, name))
        if over or age >= (_from(view, best) or 0):
            return _verdict(view, now, best)
        strangers = {m for m in models.ups() if _from(view, m) is not None and m not in _named(view)}
        rivals = [m for m in {*_named(view), *strangers} if _order(view, m) < _order(view, best)]
        return _verdict(view, now, best) if all(_lost(view, m, models) for m in rivals) else None
    if over:
        return _verdict(view, now, None)
    wild = any(ANY in step.accept for step in view.schedule.steps)
    hopes = set(_named(view)) | ({m for m in models.known() if m not in view.schedule.ignore} if wild else set())
    return _verdict(view, now, None) if hopes and all(_lost(view, m, None) for m in hopes) else None


def _has_answered(view: _View, name: str) -> bool:
    return _vote(view, name) is not None if name in view.schedule.quorum else view.answered(name)


def _vote(view: _View, name: str) -> str | None:
    """What a quorum says: the votes of the first members that were enough; None before."""
    quorum = view.schedule.quorum[name]
    need = quorum.need or next(n for n in range(1, 99) if n + 1e-9 >= (quorum.share or 0) * len(quorum.members))
    cast = [word for word in view.said if word.kind == "score" and word.model in quorum.members][:need]
    if len(cast) < need:
        return None
    labels = {word.label for word in cast}
    by_label = {label: [word.score for word in cast if word.label == label] for label in labels}
    ranked = sorted((-len(scores), -sum(scores) / len(scores), label) for label, scores in by_label.items())
    return ranked[0][2]


def _lost(view: _View, name: str, models: _Models | None) -> bool:
    """Whether nothing can be hoped for from a model or quorum that has not answered."""
    if name not in view.schedule.quorum:
        return view.declined(name) or (models is not None and models.gone(name) and not view.answered(name))
    quorum = view.schedule.quorum[name]
    need = quorum.need or next(n for n in range(1, 99) if n + 1e-9 >= (quorum.share or 0) * len(quorum.members))
    return not _has_answered(view, name) and sum(not _lost(view, m, models) for m in quorum.members) < need


def _from(view: _View, name: str) -> int | None:
    """Age from which a model or quorum may be official; None = never."""
    schedule = view.schedule
    if name == view.promoted:
        return 0
    if name in schedule.ignore:
        return None
    times = [step.after_ms * MS for step in schedule.steps if name in step.accept]
    if name not in schedule.quorum or name in _named(view):
        times += [step.after_ms * MS for step in schedule.steps if ANY in step.accept]
    if not times:
        return None
    return max(min(times), schedule.steps[1].after_ms * MS) if view.promoted else min(times)


def _named(view: _View) -> list[str]:
    steps = [name for step in view.schedule.steps for name in step.accept if name != ANY]
    return list(dict.fromkeys([view.promoted, *steps] if view.promoted else steps))


def _order(view: _View, name: str) -> tuple[int, str]:
    order = list(dict.fromkeys([*_named(view), *view.schedule.rank]))
    return (order.index(name) if name in order else 999, name)


def _verdict(view: _View, now: int, model: str | None) -> Verdict:
    schedule, promoted = view.schedule, view.promoted
    cause, label = "default", schedule.default.label
    if model is not None:
        first = promoted or (schedule.steps[0].accept if ANY not in schedule.steps[0].accept else model)
        cause = "preferred" if model == first or (not promoted and model in first) else "fallback"
        cause = "override" if view.request.override is not None else cause
        voted = _vote(view, model) if model in schedule.quorum else None
        label = voted or next(word.label for word in view.said if word.kind == "score" and word.model == model)
    return Verdict(
        at=now,
        model=model,
        cause=cause,
        label=label,
        taken=view.taken,
        start=view.start,
        deadline_ms=view.request.deadline_ms,
        late=view.late,
        version=schedule.version,
        cohort=promoted,
        propensity=schedule.random.get(promoted),
    )
