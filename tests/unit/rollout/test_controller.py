"""The controller's core: every report and order has a named outcome, and the registry's generation is the truth."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs
from story import NEW, NOW, OLD, POLICY, planned, report, trial

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Malformed, Misuse
from roost_models.rollout import progress as progresses
from roost_models.rollout.actions import Action, Command, Do, Ignored, Keep, Mark, Move, SetDocument
from roost_models.rollout.controller import Controller
from roost_models.rollout.document import Rollout
from roost_models.rollout.evidence import DeviceReport, Outcome

MINUTE = 60 * SECOND


def started(now: int = NOW) -> Controller:
    controller = Controller(planned(), now=now)
    controller.handle(Command("start", "ann"), now)
    return controller


def documents(actions: tuple[Action, ...]) -> list[Rollout]:
    return [action.document for action in actions if isinstance(action, SetDocument)]


def test_a_start_keeps_then_publishes_then_marks() -> None:
    controller = Controller(planned(), now=NOW)
    actions = controller.handle(Command("start", "ann", "why not"), NOW)
    assert [type(action) for action in actions[:3]] == [Keep, SetDocument, Mark]
    (document,) = documents(actions)
    assert (document.generation, document.state, document.serving, document.author) == (1, "running", 0.0, "ann")


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([report(number=1), report(number=1)], "duplicate"),
        ([report(number=5), report(number=4)], "stale"),
        ([report(signed=False)], "forged"),
        ([report(generation=99)], "ahead"),
        ([report(counted=trial(requests=10, of=10, same=11))], "impossible"),
        ([report(counted=trial(requests=10, of=20, same=5))], "impossible"),
        ([report(counted=structs.replace(trial(), digest=OLD.digest))], "other-bundle"),
        ([DeviceReport(node="coop-1", report_id="x", order=1)], "other-line"),
    ],
)
def test_what_cannot_count_is_named_and_counts_for_nothing(reports: list[DeviceReport], outcome: Outcome) -> None:
    controller = started()
    for one in reports:
        actions = controller.handle(one, NOW)
    assert Ignored(outcome, "coop-1") in actions
    assert controller.fleet.outcomes[outcome] == 1


@pytest.mark.parametrize(
    ("ahead_ms", "later_ms", "outcome"),
    [
        (0, 60_000, "taken"),
        (0, -50_000, "taken"),  # a clock that was put right by a little
        (0, -120_000, "replayed"),
        (3_600_000, 0, "taken"),  # it was an hour ahead, and is right now
        (3_600_000, -120_000, "replayed"),
        (-3_600_000, 0, "taken"),  # it was an hour behind, and is right now
    ],
)
def test_a_report_that_says_it_is_old_is_a_replay_and_one_after_a_clock_was_put_right_is_none(
    ahead_ms: int, later_ms: int, outcome: Outcome
) -> None:
    controller = started()
    now_ms = NOW // MS
    controller.handle(replace(report(number=1), sent_ms=now_ms + ahead_ms), NOW)
    controller.handle(replace(report(number=2), sent_ms=now_ms + later_ms), NOW)
    assert controller.fleet.outcomes[outcome] == (2 if outcome == "taken" else 1)


def test_one_of_the_newest_reports_again_is_a_duplicate_whatever_its_clock_says() -> None:
    controller = started()
    for number in (1, 2, 3):
        controller.handle(report(number=number), NOW)
    again = replace(report(number=1), order=9)
    assert Ignored("duplicate", "coop-1") in controller.handle(again, NOW)


@pytest.mark.parametrize(("step", "goes_on"), [("guarded", True), ("last guarded", False)])
def test_where_nobody_serves_because_all_who_may_are_away_only_another_guarded_step_begins(
    step: str, goes_on: bool
) -> None:
    policy = structs.replace(POLICY, serving=(0.01, 0.02, 0.1, 1.0))
    plan = planned(policy).order.plan
    guarded = [number for number, one in enumerate(plan.steps) if 0 < one.served <= 2]
    assert [plan.steps[number].served for number in guarded] == [1, 2]
    number = guarded[0] if step == "guarded" else guarded[-1]
    controller = Controller(structs.replace(planned(policy), state="running", step=number, step_since_ns=NOW), now=NOW)
    for node in range(30):
        controller.handle(report(f"coop-{node}", 1, generation=0, counted=trial()), NOW)
    for _ in range(200):
        look = controller.deadline()
        assert look is not None
        if controller.progress.step != number:
            break
        for node in range(30):
            controller.handle(report(f"coop-{node}", look, generation=0, counted=trial()), look - 1)
        controller.expire(look)
    assert controller.progress.state == "running"
    assert (controller.progress.step == number + 1) is goes_on


def test_a_report_of_another_roll_out_shows_only_that_the_device_is_there() -> None:
    controller = started()
    assert controller.handle(report(rollout="breeds-1", counted=trial()), NOW) == ()
    assert controller.fleet.outcomes["taken-alive"] == 1
    assert controller.fleet.gather(0) == []


def test_only_what_came_since_the_step_began_counts() -> None:
    controller = started()
    controller.handle(report(number=1, counted=trial(requests=1000, of=1000, same=100)), NOW)
    controller.fleet.begin_step()
    controller.handle(report(number=2, counted=trial(requests=1500, of=1500, same=590)), NOW)
    (evidence,) = controller.fleet.gather(0)
    assert (evidence.counts.requests, evidence.counts.previous) == (500, (490, 500))


def test_a_trial_that_began_anew_counts_from_nothing() -> None:
    controller = started()
    controller.handle(report(number=1, counted=trial(requests=1000)), NOW)
    controller.fleet.begin_step()
    controller.handle(report(number=2, counted=trial(requests=1200, since=7, of=1200, same=1200)), NOW)
    assert controller.fleet.gather(0)[0].counts.requests == 1200


def test_a_clearly_bad_bundle_is_halted_before_the_dwell_is_over() -> None:
    controller = started()
    for number in range(30):
        controller.handle(report(f"coop-{number}", counted=trial(same=500)), NOW + MINUTE)
    look = controller.deadline()
    assert look is not None
    assert look < NOW + 10 * MINUTE
    actions = controller.expire(look)
    (document,) = documents(actions)
    assert (document.state, document.serving) == ("aborted", 0.0)
    assert controller.deadline() is None
    assert next(action for action in actions if isinstance(action, Move)).to is None  # it never served


@pytest.mark.parametrize(
    ("orders", "last"),
    [
        (["pause"], "pause"),
        (["start", "start"], "start"),
        (["start", "resume"], "resume"),
        (["start", "pause", "pause"], "pause"),
        (["start", "abort", "abort"], "abort"),
        (["start", "abort", "resume"], "resume"),
    ],
)
def test_an_order_that_cannot_be_now_is_refused_with_what_can(orders: list[Do], last: Do) -> None:
    controller = Controller(planned(), now=NOW)
    for order in orders[:-1]:
        controller.handle(Command(order, "ann"), NOW)
    before = controller.progress
    with pytest.raises(Misuse):
        controller.handle(Command(last, "ann"), NOW)
    assert controller.progress == before


def test_a_pause_keeps_the_shares_and_its_time_does_not_count() -> None:
    controller = started()
    left = controller.dwell_left_ns(NOW + 5 * MINUTE)
    (paused,) = documents(controller.handle(Command("pause", "bob"), NOW + 5 * MINUTE))
    (resumed,) = documents(controller.handle(Command("resume", "bob"), NOW + 500 * MINUTE))
    assert (paused.shadow, paused.state) == (resumed.shadow, "paused")
    assert controller.dwell_left_ns(NOW + 500 * MINUTE) == left


# -- killed, and gone on


def test_killed_before_it_could_publish_it_publishes_what_is_missing() -> None:
    lost = started().progress
    (document,) = documents(Controller(lost, None, now=NOW).resumed(NOW + MINUTE))
    assert (document.state, document.step) == ("running", 0)


def test_what_the_registry_holds_is_the_truth() -> None:
    before = started().progress
    newer = structs.replace(before.document(), generation=7, state="paused", step=2)
    controller = Controller(before, newer, now=NOW)
    assert (controller.progress.state, controller.progress.step, controller.progress.generation) == ("paused", 2, 7)
    assert controller.resumed(NOW) == ()
    (document,) = documents(controller.handle(Command("resume", "ann"), NOW))
    assert document.generation == 8


def test_a_new_roll_out_goes_on_counting_generations_where_the_last_one_ended() -> None:
    over = Rollout(rollout_id="breeds-1", generation=41, task="nest", bundle=OLD, state="complete")
    controller = Controller(planned(), over, now=NOW)
    (document,) = documents(controller.handle(Command("start", "ann"), NOW))
    assert document.generation == 42


def test_when_another_roll_out_has_taken_the_line_this_one_cannot_go_on() -> None:
    other = Rollout(rollout_id="breeds-3", generation=9, task="nest", bundle=NEW, state="running")
    with pytest.raises(Misuse, match="has taken the place"):
        Controller(started().progress, other, now=NOW)


def test_a_clock_that_was_set_back_hastens_nothing() -> None:
    controller = started()
    look = controller.deadline()
    assert look is not None
    assert controller.expire(NOW - 100 * MINUTE) == ()
    assert controller.deadline() == look


def test_progress_comes_back_as_it_was_and_other_bytes_are_refused() -> None:
    kept = started().progress
    assert progresses.parse(progresses.render(kept)) == kept
    with pytest.raises(Malformed):
        progresses.parse(b'{"schema":"roost.rollout-progress/1"}')


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: generations only grow, shares too, and the end is the end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.controller = Controller(planned(), now=NOW)
        self.published: list[Rollout] = []
        self.number = 0

    def take(self, actions: tuple[Action, ...]) -> None:
        kept: progresses.Progress | None = None
        for action in actions:
            if isinstance(action, Keep):
                kept = action.progress
            elif isinstance(action, SetDocument):
                assert kept is not None
                assert kept.document() == action.document
                self.published.append(action.document)

    @rule(minutes=st.integers(-30, 300))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.take(self.controller.expire(self.now))

    @rule(do=st.sampled_from(["start", "pause", "resume", "abort"]))
    def somebody_orders(self, do: Do) -> None:
        try:
            self.take(self.controller.handle(Command(do, "ann"), self.now))
        except Misuse:
            return

    @rule(
        first=st.integers(0, 99),
        same=st.sampled_from([1000, 970, 960, 500]),
        requests=st.integers(0, 100_000),
        serves=st.booleans(),
        phase=st.sampled_from(["shadow", "serving", "failed", "downloading", "idle"]),
    )
    def ten_devices_report(self, first: int, same: int, requests: int, serves: bool, phase: str) -> None:
        for node in range(first, first + 10):
            self.number += 1
            counted = trial(requests=requests, of=requests, same=requests * same // 1000)
            self.take(
                self.controller.handle(
                    report(f"coop-{node % 100}", self.number, phase=phase, counted=counted, serves=serves),  # type: ignore[arg-type]  # sampled
                    self.now,
                )
            )

    @precondition(lambda self: self.published)
    @rule()
    def it_is_killed(self) -> None:
        before = self.controller.progress
        self.controller = Controller(before, self.published[-1], now=self.now)
        self.take(self.controller.resumed(self.now))
        assert self.controller.progress == before

    @invariant()
    def generations_and_shares_only_grow_until_the_end(self) -> None:
        generations = [document.generation for document in self.published]
        assert generations == sorted(set(generations))
        running = [(document.shadow, document.serving) for document in self.published if document.state == "running"]
        assert running == sorted(running)
        ended = [document for document in self.published if document.state in ("aborted", "complete")]
        assert len(ended) <= 1
        assert not ended or self.published[-1] is ended[0]


AnyOrder.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_in_any_order_of_events_generations_and_shares_only_grow = AnyOrder.TestCase
