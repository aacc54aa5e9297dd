"""The core by example: each rule once, in words."""

import pytest
from rendezvous_world import World

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_rendezvous.mailbox.actions import Action, Answer, Closed, Kind, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import ModelGone, ModelUp, RequestArrived, ScoreArrived
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import Default, Schedule, Step


def a_schedule(*accepts: tuple[str, ...], default_ms: int = 1900, ignore: tuple[str, ...] = ("canary",)) -> Schedule:
    steps = tuple(Step(after_ms=600 * index, accept=accept) for index, accept in enumerate(accepts))
    return Schedule(
        task="henhouse",
        sla_ms=2000,
        steps=steps,
        default=Default(after_ms=default_ms, label="unknown"),
        ignore=ignore,
    )


LADDER = a_schedule(("champion",), ("champion", "challenger"), ("champion", "challenger", "*"))
CLOSED_LADDER = a_schedule(("champion",), ("champion", "challenger"))


@pytest.fixture
def world() -> World:
    return World(LADDER, MailboxPolicy())


def answers(actions: tuple[Action, ...]) -> list[Answer]:
    return [action for action in actions if isinstance(action, Answer)]


def kinds(actions: tuple[Action, ...]) -> list[Kind]:
    return [action.kind for action in actions if isinstance(action, Noted)]


def ask(world: World, request_id: str = "r", **more: object) -> tuple[Action, ...]:
    return world.request(request_id, **{"deadline_ms": 2000, **more})  # type: ignore[arg-type]  # see World.request


def the_answer(world: World, request_id: str = "r") -> tuple[int, Answer]:
    [(at, answer)] = world.answers[request_id]
    return at, answer


def test_the_preferred_model_is_official_the_moment_it_answers(world: World) -> None:
    ask(world)
    world.advance(40 * MS)
    [answer] = answers(world.score("r", "champion"))
    assert (answer.cause, answer.label, answer.elapsed_ns) == ("preferred", "by-champion", 40 * MS)


def test_a_faster_model_waits_for_the_preferred_ones_exclusive_time(world: World) -> None:
    ask(world)
    began = world.now
    assert not world.score("r", "challenger")
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert at == began + 600 * MS
    assert (answer.cause, answer.chosen and answer.chosen.model) == ("fallback", "challenger")


def test_the_preferred_model_wins_over_one_that_waited(world: World) -> None:
    ask(world)
    world.score("r", "challenger")
    world.advance(599 * MS)
    [answer] = answers(world.score("r", "champion"))
    assert answer.cause == "preferred"


def test_a_decline_of_the_preferred_model_commits_the_next_at_once(world: World) -> None:
    ask(world)
    world.score("r", "challenger")
    world.advance(5 * MS)
    [answer] = answers(world.decline("r", "champion"))
    assert (answer.cause, answer.elapsed_ns) == ("fallback", 5 * MS)


def test_the_death_of_the_preferred_model_commits_the_next_at_once(world: World) -> None:
    world.up("champion")
    for number in range(3):
        ask(world, f"r{number}")
        world.score(f"r{number}", "challenger")
    assert [answer.request_id for answer in answers(world.gone("champion"))] == ["r0", "r1", "r2"]


def test_a_dead_preferred_model_is_not_waited_for_until_it_is_ready_again(world: World) -> None:
    world.gone("champion")
    ask(world, "while-dead")
    assert answers(world.score("while-dead", "challenger"))
    world.up("champion")
    ask(world, "when-back")
    assert not answers(world.score("when-back", "challenger"))


def test_a_model_never_heard_of_is_given_its_exclusive_time(world: World) -> None:
    ask(world)
    world.advance(MS)
    assert not answers(world.score("r", "challenger"))


def test_the_farewell_of_an_earlier_session_does_not_kill_a_model_that_returned() -> None:
    core = Rendezvous(LADDER)
    core.handle(ModelUp(message_id="m1", model="champion", session=8), 0)
    assert kinds(core.handle(ModelGone(message_id="m2", model="champion", session=7), 1)) == [Kind.STALE_STATE]
    core.handle(RequestArrived(message_id="m3", request_id="r", opened_ns=1, deadline_ms=2000), 1)
    assert not core.handle(ScoreArrived(message_id="m4", request_id="r", model="challenger"), 2)


def test_a_model_whose_session_count_was_lost_is_still_believed_to_be_up() -> None:
    core = Rendezvous(LADDER)
    core.handle(ModelGone(message_id="m1", model="champion", session=8), 0)
    assert not core.handle(ModelUp(message_id="m2", model="champion", session=1), 1)
    core.handle(RequestArrived(message_id="m3", request_id="r", opened_ns=1, deadline_ms=2000), 1)
    assert not core.handle(ScoreArrived(message_id="m4", request_id="r", model="challenger"), 2)


def test_without_any_answer_the_default_is_loud_and_before_the_sla(world: World) -> None:
    ask(world)
    began = world.now
    world.advance(2 * SECOND)
    at, answer = the_answer(world)
    assert at == began + 1900 * MS
    assert (answer.cause, answer.chosen, answer.label) == ("default", None, "unknown")
    assert answer.reason


def test_the_default_comes_at_once_when_every_model_declined() -> None:
    world = World(CLOSED_LADDER, MailboxPolicy())
    ask(world)
    assert not answers(world.decline("r", "champion"))
    [answer] = answers(world.decline("r", "challenger"))
    assert (answer.cause, answer.reason) == ("default", "every model declined")


def test_gone_models_do_not_hasten_the_default_for_they_may_return() -> None:
    world = World(CLOSED_LADDER, MailboxPolicy())
    ask(world)
    world.gone("champion")
    world.gone("challenger")
    world.advance(1899 * MS)
    assert not world.answers
    world.up("champion")
    assert answers(world.score("r", "champion"))


def test_under_a_star_the_default_waits_for_every_model_that_announced_itself(world: World) -> None:
    world.up("rules")
    ask(world)
    world.decline("r", "champion")
    assert not answers(world.decline("r", "challenger"))
    assert answers(world.decline("r", "rules"))


def test_a_star_prefers_by_name_and_waits_for_the_better_name_only_while_it_lives(world: World) -> None:
    world.up("aviary")
    for gone in ("champion", "challenger"):
        world.gone(gone)
    ask(world)
    assert not answers(world.score("r", "rules"))
    [answer] = answers(world.gone("aviary"))
    assert answer.label == "by-rules"


def test_an_ignored_model_is_recorded_and_never_official(world: World) -> None:
    ask(world)
    assert kinds(world.score("r", "canary")) == [Kind.IGNORED_SCORE]
    world.advance(2 * SECOND)
    _, answer = the_answer(world)
    assert answer.cause == "default"
    [canary] = [outcome for outcome in answer.outcomes if outcome.model == "canary"]
    assert (canary.status, canary.ignored, canary.label) == ("answered", True, "by-canary")


def test_a_model_that_no_step_accepts_is_recorded_and_never_official() -> None:
    world = World(CLOSED_LADDER, MailboxPolicy())
    ask(world)
    assert kinds(world.score("r", "stranger")) == [Kind.UNLISTED_SCORE]
    world.advance(2 * SECOND)
    assert the_answer(world)[1].cause == "default"


def test_the_answer_says_what_each_model_had_done(world: World) -> None:
    world.up("rules")
    world.gone("champion")
    ask(world)
    world.advance(7 * MS)
    world.decline("r", "challenger")
    world.score("r", "rules")
    _, answer = the_answer(world)
    said = [(o.model, o.status, o.elapsed_ms, o.reason) for o in answer.outcomes]
    assert said == [
        ("champion", "gone", None, "gone"),
        ("challenger", "declined", 7.0, "behind"),
        ("rules", "answered", 7.0, ""),
    ]


def test_a_model_never_heard_of_is_named_as_such_in_the_answer(world: World) -> None:
    ask(world)
    world.advance(2 * SECOND)
    said = [(o.model, o.status, o.reason) for o in the_answer(world)[1].outcomes]
    assert said == [("champion", "pending", "never heard of"), ("challenger", "pending", "never heard of")]


def test_a_nearer_deadline_cuts_the_schedule_short_and_takes_what_is_there(world: World) -> None:
    ask(world, deadline_ms=500)
    began = world.now
    world.score("r", "challenger")
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert (at - began, answer.cause) == (400 * MS, "fallback")


def test_a_nearer_deadline_without_answers_gets_the_default_in_time(world: World) -> None:
    ask(world, deadline_ms=500)
    began = world.now
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert (at - began, answer.cause) == (400 * MS, "default")


def test_age_counts_from_the_issue_not_from_the_arrival(world: World) -> None:
    ask(world, age=500 * MS)
    began = world.now
    world.score("r", "challenger")
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert (at - began, answer.elapsed_ns) == (100 * MS, 600 * MS)


def test_a_request_that_arrives_after_its_deadline_gets_a_fresh_clock_and_says_late(world: World) -> None:
    assert kinds(ask(world, age=60 * SECOND)) == [Kind.LATE_REQUEST]
    world.advance(50 * MS)
    [answer] = answers(world.score("r", "champion"))
    assert (answer.late, answer.cause, answer.elapsed_ns) == (True, "preferred", 60 * SECOND + 50 * MS)


def test_a_request_issued_in_the_future_cannot_put_off_its_default(world: World) -> None:
    ask(world, age=-60 * SECOND)
    began = world.now
    world.advance(2 * SECOND)
    assert the_answer(world)[0] == began + 1900 * MS


def test_a_score_before_its_request_is_held_and_counts(world: World) -> None:
    assert kinds(world.score("r", "champion")) == [Kind.EARLY_WORD]
    [answer] = answers(ask(world))
    assert answer.cause == "preferred"


def test_a_score_without_a_request_is_a_stranger_after_its_time(world: World) -> None:
    world.score("nobody", "champion")
    world.advance(world.policy.early_ns)
    assert [noted.kind for noted in world.noted] == [Kind.EARLY_WORD, Kind.STRANGER]
    assert world.core.deadline() is None


def test_a_flood_of_strangers_is_bounded_and_the_oldest_make_room() -> None:
    world = World(LADDER, MailboxPolicy(max_early=10))
    for number in range(100):
        world.score(f"r{number}", "flooder")
    assert [noted.kind for noted in world.noted].count(Kind.STRANGER) == 90


def test_a_flood_of_model_names_leaves_room_for_the_models_of_the_schedule() -> None:
    world = World(LADDER, MailboxPolicy(max_models=4))
    ask(world)
    for number in range(100):
        world.score("r", f"flooder{number}")
        world.up(f"flooder{number}")
    assert [noted.kind for noted in world.noted].count(Kind.TOO_MANY_MODELS) == 2 * 96
    assert answers(world.score("r", "champion"))


def test_the_death_of_a_listed_model_is_heard_in_a_full_table() -> None:
    world = World(LADDER, MailboxPolicy(max_models=4))
    for number in range(10):
        world.up(f"flooder{number}")
    ask(world)
    world.score("r", "challenger")
    assert answers(world.gone("champion"))


def test_duplicates_have_names_and_change_nothing(world: World) -> None:
    ask(world)
    assert kinds(ask(world)) == [Kind.DUPLICATE_REQUEST]
    world.score("r", "challenger")
    assert kinds(world.score("r", "challenger")) == [Kind.DUPLICATE_SCORE]
    assert kinds(world.decline("r", "challenger")) == [Kind.DUPLICATE_DECLINE]
    world.advance(SECOND)
    assert the_answer(world)[1].label == "by-challenger"


def test_a_score_after_the_same_models_decline_is_the_better_news(world: World) -> None:
    ask(world)
    world.decline("r", "champion")
    [answer] = answers(world.score("r", "champion"))
    assert answer.cause == "preferred"


def test_late_scores_are_counted_during_the_grace_time_and_reported_at_its_end(world: World) -> None:
    ask(world)
    world.score("r", "challenger")
    world.advance(SECOND)
    assert kinds(world.score("r", "champion")) == [Kind.LATE_SCORE]
    assert kinds(world.score("r", "champion")) == [Kind.DUPLICATE_SCORE]
    actions = world.core.expire(world.now + world.policy.grace_ns)
    [closed] = [action for action in actions if isinstance(action, Closed)]
    assert (closed.cause, closed.model) == ("fallback", "challenger")
    assert [(o.model, o.label, o.elapsed_ms) for o in closed.late] == [("champion", "by-champion", 1000.0)]


def test_a_score_after_the_grace_time_is_late_not_strange(world: World) -> None:
    ask(world)
    world.score("r", "champion")
    world.advance(2 * world.policy.grace_ns)
    assert kinds(world.score("r", "challenger")) == [Kind.LATE_SCORE]


def test_a_repeated_request_is_not_answered_anew(world: World) -> None:
    ask(world)
    world.score("r", "champion")
    assert kinds(ask(world)) == [Kind.REPEATED_REQUEST]
    world.advance(60 * SECOND)
    assert kinds(ask(world)) == [Kind.REPEATED_REQUEST]
    assert len(world.answers["r"]) == 1


def test_what_was_answered_before_a_restart_is_not_answered_anew() -> None:
    core = Rendezvous(LADDER, answered=["r"])
    again = RequestArrived(message_id="m", request_id="r", opened_ns=0, deadline_ms=2000)
    assert kinds(core.handle(again, 5)) == [Kind.REPEATED_REQUEST]


def test_beyond_capacity_the_default_is_given_at_once_and_counted() -> None:
    world = World(LADDER, MailboxPolicy(max_open=2))
    ask(world, "r1")
    ask(world, "r2")
    actions = ask(world, "r3")
    assert kinds(actions) == [Kind.OVER_CAPACITY]
    [answer] = answers(actions)
    assert (answer.cause, answer.reason) == ("default", "over capacity")
    assert kinds(ask(world, "r3")) == [Kind.REPEATED_REQUEST]


def test_an_answered_mailbox_makes_room_for_a_new_request() -> None:
    world = World(LADDER, MailboxPolicy(max_open=2))
    ask(world, "r1")
    ask(world, "r2")
    world.score("r1", "champion")
    assert kinds(ask(world, "r3")) == [Kind.GRACE_CUT]
    assert world.closed == ["r1"]
    assert answers(world.score("r3", "champion"))


def test_answered_mailboxes_are_bounded_of_their_own_and_a_cut_one_is_still_remembered() -> None:
    world = World(LADDER, MailboxPolicy(max_grace=2))
    for number in range(5):
        ask(world, f"r{number}")
        world.score(f"r{number}", "champion")
    assert world.closed == ["r0", "r1", "r2"]
    assert [noted.kind for noted in world.noted] == [Kind.GRACE_CUT] * 3
    assert kinds(world.score("r0", "challenger")) == [Kind.LATE_SCORE]
    assert kinds(ask(world, "r0")) == [Kind.REPEATED_REQUEST]


def test_a_new_schedule_counts_for_the_next_request_only(world: World) -> None:
    ask(world, "before")
    world.replace(a_schedule(("challenger",), ignore=("champion",)))
    ask(world, "after")
    assert not answers(world.score("before", "challenger"))
    assert answers(world.score("after", "challenger"))
    assert answers(world.score("before", "champion"))


def test_the_requests_own_schedule_is_named_as_the_cause(world: World) -> None:
    ask(world, override=a_schedule(("canary",), ignore=("champion",)))
    assert kinds(world.score("r", "champion")) == [Kind.IGNORED_SCORE]
    [answer] = answers(world.score("r", "canary"))
    assert answer.cause == "override"


def test_a_score_at_the_very_moment_of_the_default_comes_after_it(world: World) -> None:
    core = Rendezvous(CLOSED_LADDER)
    core.handle(RequestArrived(message_id="m1", request_id="r", opened_ns=0, deadline_ms=2000), 0)
    actions = core.handle(ScoreArrived(message_id="m2", request_id="r", model="champion"), 1900 * MS)
    assert [answer.cause for answer in answers(actions)] == ["default"]
    assert kinds(actions) == [Kind.LATE_SCORE]


def test_every_action_names_the_message_that_caused_it(world: World) -> None:
    ask(world)
    [answer] = answers(world.score("r", "champion"))
    assert answer.event_id == "m1"


def test_a_hundred_thousand_open_mailboxes_are_answered_each_once() -> None:
    core = Rendezvous(LADDER, MailboxPolicy(max_open=200_000))
    total = 100_000
    for number in range(total):
        core.handle(RequestArrived(message_id="m", request_id=f"r{number}", opened_ns=number, deadline_ms=2000), number)
    assert core.open_count == total
    answered = 0
    for number in range(0, total, 2):
        score = ScoreArrived(message_id="m", request_id=f"r{number}", model="champion")
        answered += len(answers(core.handle(score, total)))
    answered += len(answers(core.expire(3 * SECOND)))
    assert answered == total
    assert core.open_count == 0


def test_timers_of_answered_requests_do_not_pile_up() -> None:
    core = Rendezvous(LADDER, MailboxPolicy(grace_ns=0))
    for number in range(20_000):
        core.handle(RequestArrived(message_id="m", request_id=f"r{number}", opened_ns=number, deadline_ms=2000), number)
        core.handle(ScoreArrived(message_id="m", request_id=f"r{number}", model="champion"), number)
    assert len(core._timers) < 3000


@pytest.mark.parametrize("bad", [{"max_open": 0}, {"grace_ns": -1}, {"early_ns": 10**15}, {"remember_answered": -5}])
def test_a_policy_that_cannot_be_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        MailboxPolicy(**bad)


def test_a_request_in_a_hurry_gets_a_quick_models_answer_and_not_the_default(world: World) -> None:
    world.up("champion")
    world.up("challenger")
    began = world.now
    ask(world, deadline_ms=100)
    world.advance(20 * MS)
    world.score("r", "challenger")
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert answer.cause == "fallback"
    assert at == began + 50 * MS


@pytest.mark.parametrize("age_ms", [2_000, 60_000])
def test_a_request_older_than_the_sla_whose_own_deadline_is_far_is_not_fobbed_off_with_the_default(
    world: World, age_ms: int
) -> None:
    assert not answers(ask(world, age=age_ms * MS, deadline_ms=3_600_000))
    world.advance(300 * MS)
    [answer] = answers(world.score("r", "champion"))
    assert (answer.cause, answer.late, answer.elapsed_ns) == ("preferred", False, (age_ms + 300) * MS)


def test_a_request_older_than_the_sla_still_gets_its_default_before_its_own_deadline(world: World) -> None:
    began = world.now
    ask(world, age=2_500 * MS, deadline_ms=3_000)
    world.advance(SECOND)
    at, answer = the_answer(world)
    assert (at, answer.cause) == (began + 400 * MS, "default")


@pytest.mark.parametrize("age_ns", [-(2**62), 2**62])
def test_an_absurd_time_of_issue_costs_the_request_nothing(world: World, age_ns: int) -> None:
    ask(world, age=age_ns)
    [answer] = answers(world.score("r", "champion"))
    assert answer.cause == "preferred"
    assert answer.elapsed_ns >= 0


def test_an_answer_that_was_forgotten_is_given_anew(world: World) -> None:
    ask(world)
    world.score("r", "champion")
    assert kinds(ask(world)) == [Kind.REPEATED_REQUEST]
    world.core.forget("r")
    assert not world.core.knows("r")
    assert kinds(ask(world)) == []
    assert [answer.label for answer in answers(world.score("r", "champion"))] == ["by-champion"]
