import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from roost_broker.clock import MS
from roost_broker.errors import Misuse
from roost_models.scaffold.queue_policy import (
    Action,
    Arrived,
    Decline,
    Evaluate,
    Finished,
    QueuePolicy,
    QueueSettings,
    Warmed,
)


def arrive(policy: QueuePolicy, *names: str, now: int = 0, expires: int | None = None) -> list[Action]:
    return [action for name in names for action in policy.handle(Arrived(name, expires), now)]


def test_a_request_that_finds_the_model_free_is_evaluated_at_once() -> None:
    assert arrive(QueuePolicy(QueueSettings()), "a") == [Evaluate(("a",))]


def test_behind_a_busy_model_the_older_request_is_declined_the_moment_a_newer_one_comes() -> None:
    policy = QueuePolicy(QueueSettings())
    assert arrive(policy, "a", "b") == [Evaluate(("a",))]
    assert arrive(policy, "c") == [Decline(("b",), "behind")]
    assert policy.handle(Finished(), 1) == (Evaluate(("c",)),)
    assert policy.handle(Finished(), 2) == ()


def test_a_short_burst_within_the_bound_is_worked_off_in_order() -> None:
    policy = QueuePolicy(QueueSettings(max_waiting=2))
    arrive(policy, "a", "b", "c")
    assert policy.handle(Finished(), 1) == (Evaluate(("b",)),)
    assert policy.handle(Finished(), 2) == (Evaluate(("c",)),)


def test_beyond_the_bound_skip_keeps_the_newest_alone() -> None:
    policy = QueuePolicy(QueueSettings(max_waiting=2))
    arrive(policy, "a", "b", "c")
    assert arrive(policy, "d") == [Decline(("b", "c"), "behind")]
    assert policy.handle(Finished(), 1) == (Evaluate(("d",)),)


def test_batch_takes_the_largest_size_that_the_waiting_fill_and_lets_the_oldest_go_beyond_the_bound() -> None:
    policy = QueuePolicy(QueueSettings(strategy="batch", max_waiting=5, sizes=(1, 4)))
    assert arrive(policy, *"abcdef") == [Evaluate(("a",))]
    assert arrive(policy, "g") == [Decline(("b",), "behind")]
    assert policy.handle(Finished(), 1) == (Evaluate(("c", "d", "e", "f")),)
    assert policy.handle(Finished(), 2) == (Evaluate(("g",)),)


def test_a_request_whose_time_is_over_is_declined_when_it_is_and_not_later() -> None:
    policy = QueuePolicy(QueueSettings(max_waiting=3))
    arrive(policy, "a")
    arrive(policy, "b", expires=10)
    arrive(policy, "c", expires=20)
    assert policy.deadline() == 10
    assert policy.expire(9) == ()
    assert policy.expire(10) == (Decline(("b",), "expired"),)
    assert policy.deadline() == 20
    assert arrive(policy, "d", now=30, expires=30) == [Decline(("d",), "expired")]


def test_the_bundles_largest_age_holds_beside_the_requests_own_deadline() -> None:
    policy = QueuePolicy(QueueSettings(max_waiting=3, max_age_ns=5))
    arrive(policy, "a", "b")
    arrive(policy, "c", expires=3)
    assert policy.deadline() == 3
    assert policy.expire(5) == (Decline(("b", "c"), "expired"),)


@pytest.mark.parametrize(
    "bad", [{"max_waiting": 0}, {"sizes": ()}, {"sizes": (4, 16)}, {"sizes": (1, 4, 4)}, {"max_age_ns": 0}]
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        QueueSettings(**bad)  # type: ignore[arg-type] # on purpose


class Queue(RuleBasedStateMachine):
    """Any order of arrivals, ends and waking: each request gets one outcome, bounds hold, the newest is safe."""

    @initialize(
        strategy=st.sampled_from(["skip", "batch", "auto"]),
        works=st.sets(st.sampled_from([2, 4, 6])),
        costs=st.tuples(*[st.integers(0, 60)] * 4),
        max_waiting=st.integers(1, 6),
        max_age=st.one_of(st.none(), st.integers(1, 50)),
        sizes=st.sampled_from([(1,), (1, 2), (1, 4), (1, 2, 6)]),
    )
    def begin(
        self,
        strategy: str,
        works: set[int],
        costs: tuple[int, ...],
        max_waiting: int,
        max_age: int | None,
        sizes: tuple[int, ...],
    ) -> None:
        self.settings = QueueSettings(
            strategy=strategy,  # type: ignore[arg-type] # sampled
            max_waiting=max_waiting,
            max_age_ns=max_age,
            sizes=sizes,
        )
        self.policy = QueuePolicy(self.settings)
        self.sizes = {1, *works} & set(sizes)  # not every size of the bundle works
        self.policy.handle(Warmed({size: costs[size % 4] for size in sorted(self.sizes)}), 0)
        self.expires: dict[str, int | None] = {}
        self.now = 0
        self.arrived: list[str] = []
        self.outcomes: dict[str, str] = {}
        self.computing: tuple[str, ...] = ()

    def apply(self, actions: tuple[Action, ...], newest: str | None = None) -> None:
        for action in actions:
            for name in action.request_ids:
                assert name not in self.outcomes
                self.outcomes[name] = "evaluate" if isinstance(action, Evaluate) else action.reason
            if isinstance(action, Evaluate):
                assert not self.computing, "the model was given two things at once"
                assert len(action.request_ids) in self.sizes
                assert all((self.expires[name] or self.now + 1) > self.now for name in action.request_ids)
                assert list(action.request_ids) == sorted(action.request_ids, key=int)
                self.computing = action.request_ids
            elif action.reason == "behind":
                assert newest not in action.request_ids

    def wake(self) -> None:
        due = self.policy.deadline()
        actions = self.policy.expire(self.now)
        assert bool(actions) == (due is not None and due <= self.now)
        self.apply(actions)

    @rule(later=st.integers(0, 20), patience=st.one_of(st.none(), st.integers(-5, 40)))
    def a_request_arrives(self, later: int, patience: int | None) -> None:
        self.now += later
        self.wake()
        name = str(len(self.arrived))
        self.arrived.append(name)
        expires = None if patience is None else self.now + patience
        self.expires[name] = expires
        self.apply(self.policy.handle(Arrived(name, expires), self.now), newest=name)

    @precondition(lambda self: self.computing)
    @rule(later=st.integers(0, 20), typical=st.booleans())
    def the_model_finishes(self, later: int, typical: bool = True) -> None:
        self.now += later
        self.wake()
        self.computing = ()
        newest = self.arrived[-1] if self.policy.waiting else None
        self.apply(self.policy.handle(Finished(typical), self.now), newest=newest)

    @rule(later=st.integers(0, 60))
    def the_timer_wakes(self, later: int) -> None:
        self.now += later
        self.wake()

    @invariant()
    def bounds_hold_and_nothing_waits_for_a_free_model(self) -> None:
        if not hasattr(self, "policy"):
            return
        assert self.policy.waiting <= self.settings.max_waiting
        assert self.policy.waiting == len(self.arrived) - len(self.outcomes)
        assert self.computing or self.policy.waiting == 0

    def teardown(self) -> None:
        if not hasattr(self, "policy"):
            return
        while self.computing:
            self.the_model_finishes(0)
        assert set(self.outcomes) == set(self.arrived)


Queue.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrderOfEvents = Queue.TestCase


def test_twice_the_load_it_can_bear_leaves_the_model_busy_and_its_answers_no_older_than_two_evaluations() -> None:
    policy = QueuePolicy(QueueSettings())
    arrived: dict[str, int] = {}
    evaluated: list[str] = []
    oldest = 0
    for tick in range(1000):  # a request each ms, an evaluation takes 2 ms
        name = str(tick)
        arrived[name] = tick * MS
        actions = list(policy.handle(Finished(), tick * MS)) if tick and tick % 2 == 0 else []
        actions += arrive(policy, name, now=tick * MS)
        for action in actions:
            if isinstance(action, Evaluate):
                evaluated += action.request_ids
                oldest = max(oldest, tick * MS - arrived[action.request_ids[0]])
    assert len(evaluated) == 500
    assert oldest + 2 * MS <= 4 * MS
