"""The core against a naive second opinion: any interleaving, any schedule, exactly one answer, at the right moment."""

import random
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from rendezvous_oracle import Happening
from rendezvous_world import World

from roost_broker.clock import MS, SECOND
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import ANY, Default, Quorum, Schedule, Step

MODELS = ("champion", "fast", "rules", "aviary", "canary")
JURY = "jury"
IDS = tuple(f"r{number}" for number in range(12))
CAMERAS = ("door", "nest", "gate")


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any valid schedule over a few models and one quorum, within 40 ms; `focus` is what it is sure to have."""
    focus = draw(st.sampled_from(["", "rollout", "random", "sample", "quorum"]))
    order = draw(st.permutations((*MODELS[:4], JURY)))
    ignore = draw(st.sets(st.sampled_from(MODELS), max_size=2))
    order = [name for name in order if name not in ignore]
    times = sorted(draw(st.sets(st.integers(1, 20), min_size=1 if focus else 0, max_size=2)))
    accepts = []
    for _ in [0, *times]:
        names = draw(st.sets(st.sampled_from(order), min_size=1 if focus else 0))
        names |= {JURY} if focus == "quorum" and draw(st.booleans()) else set()
        accept = [name for name in order if name in names] + ([ANY] if draw(st.booleans()) else [])
        accepts.append(tuple(accept) or (ANY,))
    # preference must be the order of first appearance: name them by it
    rank: dict[str, int] = {}
    for accept in accepts:
        for name in accept:
            if name != ANY:
                rank.setdefault(name, len(rank))
    tidy = [
        tuple(sorted((n for n in accept if n != ANY), key=rank.__getitem__)) + ((ANY,) if ANY in accept else ())
        for accept in accepts
    ]
    steps = tuple(Step(after_ms=t, accept=a) for t, a in zip([0, *times], tidy, strict=True))
    default = draw(st.integers(steps[-1].after_ms + 1, 30))
    rollout, lot = draw(promotions(focus, [name for name in order if name not in steps[0].accept], order))
    used = {*rank, *rollout, *lot}
    sampled = draw(st.sets(st.sampled_from(sorted(rank) if focus == "sample" else MODELS), max_size=2))
    sampled -= {*rollout, *lot, JURY}
    wild = any(ANY in accept for accept in tidy)
    others = [name for name in order if name not in rank and name != JURY] if wild else []
    return Schedule(
        task="nest",
        sla_ms=draw(st.integers(default + 1, 40)),
        steps=steps,
        default=Default(after_ms=default, label="unknown"),
        ignore=tuple(sorted(ignore)),
        rank=tuple(others[: draw(st.integers(0, 4))]),
        rollout=rollout,
        random=lot,
        sample={name: draw(st.sampled_from([0.3, 0.5, 0.8])) for name in sorted(sampled)},
        quorum={JURY: draw(quorums())} if JURY in used else {},
    )


@st.composite
def promotions(
    draw: st.DrawFn, focus: str, not_first: list[str], order: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """A `[rollout]`, a `[random]`, or neither."""
    if focus == "rollout" and not_first:
        names = draw(st.lists(st.sampled_from(not_first), min_size=1, max_size=2, unique=True))
        return {name: draw(st.sampled_from([0.0, 0.4, 0.6, 1.0])) for name in names}, {}
    if focus == "random" and len(order) > 2:
        chances = draw(st.sampled_from([(0.5, 0.5), (0.2, 0.3, 0.5)]))
        return {}, dict(zip(draw(st.permutations(order)), chances, strict=False))
    return {}, {}


@st.composite
def quorums(draw: st.DrawFn) -> Quorum:
    members = tuple(sorted(draw(st.sets(st.sampled_from(MODELS), min_size=2))))
    if draw(st.booleans()):
        return Quorum(members=members, need=draw(st.integers(1, len(members))))
    return Quorum(members=members, share=draw(st.sampled_from([0.2, 0.5, 0.8, 1.0])))


class RendezvousMachine(RuleBasedStateMachine):
    """Requests, words, deaths, new schedules and tokens in any order; ids and models are few, so they collide."""

    @initialize(
        schedule=schedules(),
        early_ms=st.integers(1, 30),
        grace_ms=st.integers(0, 30),
        begins=st.sampled_from(["alone", "alone", "standby", "successor"]),
    )
    def begin(self, schedule: Schedule, early_ms: int, grace_ms: int, begins: str) -> None:
        policy = MailboxPolicy(early_ns=early_ms * MS, grace_ns=grace_ms * MS)
        self.world = World(schedule, policy, standby=begins != "alone")
        if begins == "successor":
            self.world.token("new")

    @rule(
        request_id=st.sampled_from(IDS),
        age_ms=st.sampled_from([0, 0, 0, 1, 5, 29, 39, 60, -3]),
        deadline_ms=st.sampled_from([40, 40, 1, 12, 16, 20, 25, 1000]),
        override=st.one_of(st.none(), st.none(), schedules()),
        tags=st.one_of(st.just({}), st.sampled_from(CAMERAS).map(lambda camera: {"camera": camera})),
        attempt=st.integers(1, 2),
    )
    def request(
        self,
        request_id: str,
        age_ms: int,
        deadline_ms: int,
        override: Schedule | None,
        tags: dict[str, str],
        attempt: int,
    ) -> None:
        self.world.request(
            request_id, age=age_ms * MS, deadline_ms=deadline_ms, override=override, tags=tags, attempt=attempt
        )

    @rule(
        request_id=st.sampled_from(IDS),
        model=st.sampled_from(MODELS),
        label=st.sampled_from(["hen", "egg"]),
        score=st.sampled_from([0.25, 0.5, 1.0]),
    )
    def score(self, request_id: str, model: str, label: str, score: float) -> None:
        self.world.score(request_id, model, label, score)

    @rule(
        request_id=st.sampled_from(IDS),
        camera=st.sampled_from(CAMERAS),
        attempt=st.integers(1, 2),
        words=st.lists(
            st.tuples(
                st.integers(0, 8),
                st.sampled_from(MODELS),
                st.sampled_from(["decline", "hen", "egg"]),
                st.sampled_from([0.25, 1.0]),
            ),
            max_size=6,
        ),
    )
    def a_request_and_what_is_said_about_it(
        self, request_id: str, camera: str, attempt: int, words: list[tuple[int, str, str, float]]
    ) -> None:
        self.world.request(request_id, deadline_ms=40, tags={"camera": camera}, attempt=attempt)
        for gap_ms, model, label, score in words:
            self.world.advance(gap_ms * MS)
            if label == "decline":
                self.world.decline(request_id, model)
            else:
                self.world.score(request_id, model, label, score)

    @rule(request_id=st.sampled_from(IDS), model=st.sampled_from(MODELS))
    def decline(self, request_id: str, model: str) -> None:
        self.world.decline(request_id, model)

    @rule(model=st.sampled_from(MODELS), replica=st.integers(0, 2))
    def up(self, model: str, replica: int) -> None:
        self.world.up(model, replica)

    @rule(model=st.sampled_from(MODELS), replica=st.integers(0, 2))
    def gone(self, model: str, replica: int) -> None:
        self.world.gone(model, replica)

    @rule(side=st.sampled_from(["new", "new", "new", "old"]))
    def token(self, side: Literal["old", "new"]) -> None:
        self.world.token(side)

    @precondition(lambda self: hasattr(self, "world") and self.world.standby)
    @rule(there=st.dictionaries(st.sampled_from(IDS), st.booleans(), max_size=3))
    def predecessor_said(self, there: dict[str, bool]) -> None:
        open_ids = tuple(name for name, is_open in there.items() if is_open)
        self.world.predecessor_said(open_ids, tuple(name for name in there if name not in open_ids))

    @precondition(lambda self: hasattr(self, "world") and self.world.standby)
    @rule()
    def predecessor_gone(self) -> None:
        self.world.predecessor_gone()

    @rule(schedule=schedules())
    def replace(self, schedule: Schedule) -> None:
        self.world.replace(schedule)

    @rule(ns=st.one_of(st.integers(0, 20).map(lambda ms: ms * MS), st.integers(0, 3 * MS)))
    def time_passes(self, ns: int) -> None:
        self.world.advance(ns)

    @precondition(lambda self: hasattr(self, "world"))
    @rule()
    def everybody_declines_all(self) -> None:
        for request_id in IDS[:3]:
            for model in MODELS:
                self.world.decline(request_id, model)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.advance(10 * SECOND)
            self.world.check()
            assert self.world.core.deadline() is None
            assert sorted(self.world.closed) == sorted(self.world.answers)


TestRendezvousAgainstOracle = RendezvousMachine.TestCase
TestRendezvousAgainstOracle.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    schedule=schedules(),
    ids=st.lists(st.integers(0, 99).map(str), min_size=3, max_size=3),
    gone=st.sets(st.sampled_from(MODELS), max_size=2),
    words=st.lists(
        st.tuples(
            st.integers(0, 6),
            st.sampled_from(MODELS),
            st.sampled_from(["decline", "decline", "hen", "egg"]),
            st.sampled_from([0.25, 1.0]),
        ),
        max_size=7,
    ),
)
def test_a_few_requests_under_any_schedule_are_answered_as_the_second_opinion_says(
    schedule: Schedule, ids: list[str], gone: set[str], words: list[tuple[int, str, str, float]]
) -> None:
    """Less happens than above, so that what a table does to a single request is met more often."""
    world = World(schedule, MailboxPolicy(grace_ns=0))
    for model in MODELS:
        world.gone(model) if model in gone else world.up(model)
    for request_id in ids:
        world.request(request_id, tags={"camera": f"camera {request_id}"})
    for gap_ms, model, label, score in words:
        world.advance(gap_ms * MS)
        for request_id in ids:
            if label == "decline":
                world.decline(request_id, model)
            else:
                world.score(request_id, model, label, score)
    world.advance(SECOND)
    world.check()


def test_ten_thousand_interleaved_requests_are_each_answered_once_by_the_right_model_at_the_right_time() -> None:
    dice = random.Random(2)
    schedule = Schedule(
        task="nest",
        sla_ms=40,
        steps=(
            Step(after_ms=0, accept=("champion",)),
            Step(after_ms=10, accept=("champion", "fast")),
            Step(after_ms=20, accept=("champion", "fast", ANY)),
        ),
        default=Default(after_ms=30, label="unknown"),
        ignore=("canary",),
    )
    world = World(schedule, MailboxPolicy(grace_ns=50 * MS, max_open=10_000))
    total = 10_000
    words: list[tuple[int, int, str, str]] = []
    for number in range(total):
        opened = world.now + number * MS // 5
        for model in MODELS:
            fate = dice.random()
            kind = "score" if fate < 0.7 else "decline" if fate < 0.85 else ""
            for copy in range(2 if dice.random() < 0.1 else 1):
                words.append((opened + dice.randrange(45 * MS) * (copy + 1), number, kind, model))
        words.append((opened, number, "request", ""))
        if dice.random() < 0.05:
            words.append((opened + dice.randrange(100 * MS), number, "request", ""))
        if dice.random() < 0.01:
            words.append((opened, number, dice.choice(["up", "gone"]), dice.choice(MODELS)))
    for at, number, kind, model in sorted(words):
        world.advance(max(0, at - world.now))
        if kind == "request":
            world.request(f"r{number}")
        elif kind in ("up", "gone"):
            getattr(world, kind)(model)
        elif kind:
            getattr(world, kind)(f"r{number}", model)
    world.advance(SECOND)
    by_request: dict[str, list[Happening]] = {}
    for what in world.history:  # the oracle is naive: hand it each request's own part of the history
        by_request.setdefault(what.request_id, []).append(what)
    shared = by_request.pop("")

    def relevant(request_id: str) -> list[Happening]:
        own = by_request[request_id]
        near = [h for h in shared if h.at <= own[0].at + SECOND]
        return sorted([*near, *own], key=order.__getitem__)

    order = _Order(world.history)
    world._relevant = relevant  # type: ignore[method-assign]  # the same, only quicker
    world.check()
    causes = [answer.cause for [(_, answer)] in world.answers.values()]
    assert len(causes) == total
    assert set(causes) == {"preferred", "fallback", "default"}
    assert min(causes.count(cause) for cause in set(causes)) > 20, "the test must exercise all causes"


class _Order:
    def __init__(self, history: list[Happening]) -> None:
        self._index = {id(what): index for index, what in enumerate(history)}

    def __getitem__(self, what: object) -> int:
        return self._index[id(what)]
