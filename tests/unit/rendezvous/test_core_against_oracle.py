"""The core against a naive second opinion: any interleaving, any schedule, exactly one answer, at the right moment."""

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from rendezvous_world import World

from roost_broker.clock import MS, SECOND
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import ANY, Default, Schedule, Step

MODELS = ("champion", "fast", "rules", "aviary", "canary")
IDS = tuple(f"r{number}" for number in range(6))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any valid schedule over a few models, within 40 ms."""
    order = draw(st.permutations(MODELS[:4]))
    ignore = draw(st.sets(st.sampled_from(MODELS), max_size=2))
    order = [name for name in order if name not in ignore]
    times = sorted(draw(st.sets(st.integers(1, 20), max_size=2)))
    accepts = []
    for _ in [0, *times]:
        names = draw(st.sets(st.sampled_from(order))) if order else set()
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
    return Schedule(
        task="nest",
        sla_ms=draw(st.integers(default + 1, 40)),
        steps=steps,
        default=Default(after_ms=default, label="unknown"),
        ignore=tuple(sorted(ignore)),
    )


class RendezvousMachine(RuleBasedStateMachine):
    """Requests, scores, declines, deaths and new schedules in any order; ids and models are few, so they collide."""

    @initialize(schedule=schedules(), early_ms=st.integers(1, 30), grace_ms=st.integers(0, 30))
    def begin(self, schedule: Schedule, early_ms: int, grace_ms: int) -> None:
        self.world = World(schedule, MailboxPolicy(early_ns=early_ms * MS, grace_ns=grace_ms * MS))

    @rule(
        request_id=st.sampled_from(IDS),
        age_ms=st.sampled_from([0, 0, 0, 1, 5, 29, 39, 60, -3]),
        deadline_ms=st.sampled_from([40, 40, 1, 12, 16, 20, 25, 1000]),
        override=st.one_of(st.none(), st.none(), schedules()),
    )
    def request(self, request_id: str, age_ms: int, deadline_ms: int, override: Schedule | None) -> None:
        self.world.request(request_id, age=age_ms * MS, deadline_ms=deadline_ms, override=override)

    @rule(request_id=st.sampled_from(IDS), model=st.sampled_from(MODELS))
    def score(self, request_id: str, model: str) -> None:
        self.world.score(request_id, model)

    @rule(request_id=st.sampled_from(IDS), model=st.sampled_from(MODELS))
    def decline(self, request_id: str, model: str) -> None:
        self.world.decline(request_id, model)

    @rule(model=st.sampled_from(MODELS))
    def up(self, model: str) -> None:
        self.world.up(model)

    @rule(model=st.sampled_from(MODELS))
    def gone(self, model: str) -> None:
        self.world.gone(model)

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
            assert sorted(self.world.closed) == sorted(self.world.opened)


TestRendezvousAgainstOracle = RendezvousMachine.TestCase
TestRendezvousAgainstOracle.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


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
    by_request: dict[str, list] = {}
    for what in world.history:  # the oracle is naive: hand it each request's own part of the history
        by_request.setdefault(what.request_id, []).append(what)
    shared = by_request.pop("")

    def relevant(what):  # type: ignore[no-untyped-def]  # a test's helper
        near = [h for h in shared if h.at <= what.at + SECOND]
        return sorted([*near, *by_request[what.request_id]], key=order.__getitem__)

    order = _Order(world.history)
    world._relevant = relevant
    world.check()
    causes = [answer.cause for [(_, answer)] in world.answers.values()]
    assert len(causes) == total
    assert set(causes) == {"preferred", "fallback", "default"}
    assert min(causes.count(cause) for cause in set(causes)) > 20, "the test must exercise all causes"


class _Order:
    def __init__(self, history: list) -> None:  # type: ignore[type-arg]  # list[Happening]
        self._index = {id(what): index for index, what in enumerate(history)}

    def __getitem__(self, what: object) -> int:
        return self._index[id(what)]
