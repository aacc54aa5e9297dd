"""Cohorts, lots, samples and quorums by example, and their shares over many requests."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendezvous_world import World

from roost_broker.clock import MS, SECOND
from roost_broker.shares import in_share
from roost_rendezvous.mailbox.actions import Action, Answer, Kind, Noted
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.mailbox.quorum import Ballot, Vote, count
from roost_rendezvous.schedule import Schedule, parse

TOTAL = 4_000


def schedule(**tables: object) -> Schedule:
    return parse(
        {
            "task": "henhouse",
            "sla_ms": 2000,
            "step": [
                {"after_ms": 0, "accept": ["champion"]},
                {"after_ms": 600, "accept": ["champion", "fast", *(["jury"] if "quorum" in tables else [])]},
            ],
            "default": {"after_ms": 1900, "label": "unknown"},
            **tables,
        }
    )


def jury(members: str = "abcd", **rule: object) -> Schedule:
    return schedule(quorum={"jury": {"members": list(members), **(rule or {"need": 3})}})


def a_world(of: Schedule) -> World:
    return World(of, MailboxPolicy())


def ask(world: World, request_id: str = "r", camera: str = "door") -> tuple[Action, ...]:
    return world.request(request_id, deadline_ms=2000, tags={"camera": camera})


def answers(actions: tuple[Action, ...]) -> list[Answer]:
    return [action for action in actions if isinstance(action, Answer)]


def kinds(actions: tuple[Action, ...]) -> list[Kind]:
    return [action.kind for action in actions if isinstance(action, Noted)]


def the_answer(world: World, request_id: str = "r") -> Answer:
    [(_, answer)] = world.answers[request_id]
    return answer


def answered_in_turn(of: Schedule, total: int = TOTAL, cameras: int = TOTAL) -> list[Answer]:
    """Every request gets an answer of every model at once."""
    world = World(of, MailboxPolicy(max_open=2 * total))
    for number in range(total):
        ask(world, f"r{number}", f"camera-{number % cameras}")
        for model in ("champion", "fast", "challenger"):
            world.score(f"r{number}", model)
    world.advance(5 * SECOND)
    return [the_answer(world, f"r{number}") for number in range(total)]


def within(found: int, chance: float, total: int = TOTAL) -> bool:
    return abs(found - chance * total) <= 3 * math.sqrt(chance * (1 - chance) * total)


# cohorts


def test_in_the_cohort_the_new_model_is_preferred_and_the_old_champion_stands_by_from_the_second_step() -> None:
    world = a_world(schedule(rollout={"challenger": 1.0}))
    ask(world)
    world.score("r", "champion")
    world.advance(599 * MS)
    assert not world.answers
    [answer] = answers(world.score("r", "challenger"))
    assert (answer.cause, answer.label, answer.cohort) == ("preferred", "by-challenger", "challenger")


def test_in_the_cohort_the_old_champions_answer_is_a_fallback() -> None:
    world = a_world(schedule(rollout={"challenger": 1.0}))
    ask(world)
    world.score("r", "champion")
    world.advance(600 * MS)
    answer = the_answer(world)
    assert (answer.cause, answer.label, answer.cohort) == ("fallback", "by-champion", "challenger")


def test_outside_the_cohort_the_new_model_is_not_official_and_nothing_is_different() -> None:
    world = a_world(schedule(rollout={"challenger": 0.0}))
    ask(world)
    assert kinds(world.score("r", "challenger")) == [Kind.UNLISTED_SCORE]
    [answer] = answers(world.score("r", "champion"))
    assert (answer.cause, answer.cohort, answer.propensity) == ("preferred", "", None)


def test_a_dead_new_model_costs_its_cohort_nothing() -> None:
    world = a_world(schedule(rollout={"challenger": 1.0}))
    world.up("challenger")
    world.gone("challenger")
    ask(world)
    assert [answer.cause for answer in answers(world.score("r", "champion"))] == ["fallback"]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.text(max_size=20))
def test_a_camera_that_joined_a_growing_cohort_stays_in_it(shares: list[float], camera: str) -> None:
    inside = []
    for share in sorted(shares):
        world = a_world(schedule(rollout={"challenger": share}))
        ask(world, camera=camera)
        world.advance(2 * SECOND)
        inside.append(the_answer(world).cohort == "challenger")
    assert inside == sorted(inside)


def test_a_cohort_is_the_share_of_the_cameras_that_it_says_and_one_camera_has_one_experience() -> None:
    given = answered_in_turn(schedule(rollout={"challenger": 0.1}))
    assert within(sum(answer.cohort == "challenger" for answer in given), 0.1)
    few = answered_in_turn(schedule(rollout={"challenger": 0.5}), cameras=8)
    assert all(len({answer.cohort for answer in few[camera::8]}) == 1 for camera in range(8))
    assert len({answer.cohort for answer in few}) == 2


def test_requests_without_the_tag_are_rolled_out_by_their_ids() -> None:
    world = World(schedule(rollout={"challenger": 0.5}), MailboxPolicy(max_open=2 * TOTAL))
    for number in range(TOTAL):
        world.request(f"r{number}", deadline_ms=2000)
    world.advance(2 * SECOND)
    assert within(sum(the_answer(world, f"r{n}").cohort == "challenger" for n in range(TOTAL)), 0.5)


def test_raising_the_share_touches_no_open_mailbox() -> None:
    world = a_world(schedule())
    ask(world)
    world.replace(schedule(rollout={"challenger": 1.0}))
    world.score("r", "champion")
    assert the_answer(world).cohort == ""


# lots


def test_the_propensity_recorded_is_the_frequency_with_which_the_model_is_drawn() -> None:
    lot = {"champion": 0.7, "fast": 0.2, "challenger": 0.1}
    given = answered_in_turn(schedule(random=lot))
    for model, chance in lot.items():
        mine = [answer for answer in given if answer.cohort == model]
        assert within(len(mine), chance)
        assert {answer.propensity for answer in mine} == {chance}
        assert {(answer.cause, answer.label) for answer in mine} == {("preferred", f"by-{model}")}


def test_a_request_played_again_draws_the_same_model() -> None:
    lot = schedule(random={"champion": 0.5, "challenger": 0.5})
    once, again = answered_in_turn(lot, 200), answered_in_turn(lot, 200)
    assert [answer.cohort for answer in once] == [answer.cohort for answer in again]


def test_a_model_that_was_drawn_and_does_not_answer_still_has_its_chance_recorded() -> None:
    world = a_world(schedule(random={"x": 0.25, "y": 0.75}))
    ask(world)
    world.advance(2 * SECOND)
    answer = the_answer(world)
    assert answer.cause == "default"
    assert answer.propensity == {"x": 0.25, "y": 0.75}[answer.cohort]


# samples


def unsampled(model: str, share: float) -> str:
    return next(f"r{n}" for n in range(1000) if not in_share(model, f"r{n}", share))


def test_a_model_that_is_not_asked_is_not_waited_for_even_if_its_decline_is_lost() -> None:
    world = a_world(schedule(sample={"champion": 0.01}))
    world.up("champion")
    request_id = unsampled("champion", 0.01)
    ask(world, request_id)
    [answer] = answers(world.score(request_id, "fast"))
    assert answer.cause == "fallback"
    assert [(o.status, o.reason) for o in answer.outcomes if o.model == "champion"] == [("declined", "not-sampled")]


def test_a_model_that_is_not_asked_hastens_the_default_like_one_that_declined() -> None:
    world = a_world(schedule(sample={"champion": 0.01}))
    request_id = unsampled("champion", 0.01)
    ask(world, request_id)
    [answer] = answers(world.decline(request_id, "fast"))
    assert answer.reason == "every model declined"


def test_its_decline_is_recorded_and_its_answer_is_welcome_all_the_same() -> None:
    world = a_world(schedule(sample={"champion": 0.01}))
    request_id = unsampled("champion", 0.01)
    ask(world, request_id)
    assert kinds(world.decline(request_id, "champion")) == []
    assert [answer.cause for answer in answers(world.score(request_id, "champion"))] == ["preferred"]


def test_one_request_in_a_hundred_is_evaluated_a_hundred_times_fewer() -> None:
    total = 200_000
    asked = sum(in_share("canary", f"{n:032x}", 0.01) for n in range(total))
    assert 95 <= total / asked <= 105
    assert within(asked, 0.01, total)


# quorums


def test_a_quorum_answers_when_enough_members_have_and_says_how_they_voted() -> None:
    world = a_world(jury())
    world.gone("champion")
    world.decline("r", "fast")
    ask(world)
    world.score("r", "a", "hen", 0.5)
    world.score("r", "b", "egg", 1.0)
    assert not world.answers
    [answer] = answers(world.score("r", "c", "hen", 0.75))
    assert answer.chosen is not None
    assert (answer.cause, answer.chosen.model, answer.label, answer.chosen.score) == ("fallback", "jury", "hen", 0.625)
    [outcome] = [o for o in answer.outcomes if o.model == "jury"]
    assert (outcome.status, outcome.reason, outcome.label) == ("answered", "3 of 4: 2 hen, 1 egg", "hen")
    assert isinstance(answer.chosen.context, Ballot)
    assert answer.chosen.context.shares == (("hen", 2 / 3), ("egg", 1 / 3))


def test_what_members_say_after_the_vote_does_not_change_it() -> None:
    world = a_world(jury(need=1))
    ask(world)
    world.score("r", "a", "hen")
    for member in "bcd":
        world.score("r", member, "egg")
    world.advance(600 * MS)
    assert the_answer(world).label == "hen"


def test_a_quorum_waits_for_its_step_like_a_model_and_yields_to_a_better_one() -> None:
    world = a_world(jury(need=2))
    ask(world)
    world.score("r", "a", "hen")
    world.score("r", "b", "hen")
    world.score("r", "fast")
    world.advance(599 * MS)
    assert not world.answers
    world.advance(MS)
    assert the_answer(world).label == "by-fast", "fast is named before the jury"


def test_too_many_declines_are_the_quorums_decline() -> None:
    world = a_world(jury())
    ask(world)
    world.decline("r", "champion")
    world.decline("r", "fast")
    world.decline("r", "a")
    assert not world.answers
    [answer] = answers(world.decline("r", "b"))
    assert (answer.cause, answer.reason) == ("default", "every model declined")
    [outcome] = [o for o in answer.outcomes if o.model == "jury"]
    assert (outcome.status, outcome.reason) == ("declined", "0 of 4 answered, 3 needed")


def test_a_quorum_whose_members_are_gone_is_not_waited_for_and_does_not_hasten_the_default() -> None:
    of = parse(
        {
            "task": "t",
            "sla_ms": 2000,
            "step": [{"after_ms": 0, "accept": ["jury"]}, {"after_ms": 600, "accept": ["jury", "fast"]}],
            "default": {"after_ms": 1900, "label": "unknown"},
            "quorum": {"jury": {"members": ["a", "b"], "need": 2}},
        }
    )
    world = a_world(of)
    world.gone("a")
    ask(world, "quick")
    ask(world, "alone")
    assert [answer.cause for answer in answers(world.score("quick", "fast"))] == ["fallback"]
    assert not answers(world.decline("alone", "fast"))


def test_members_may_be_ignored_ones_and_then_only_the_quorum_speaks_for_them() -> None:
    of = parse({**_plain(jury("ab", need=2)), "ignore": ["a", "b"]})
    world = a_world(of)
    world.gone("champion")
    world.gone("fast")
    ask(world)
    assert kinds(world.score("r", "a", "hen")) == [Kind.IGNORED_SCORE]
    assert [answer.chosen and answer.chosen.model for answer in answers(world.score("r", "b", "hen"))] == ["jury"]


def test_a_model_that_bears_the_name_of_a_quorum_cannot_speak_for_it() -> None:
    world = a_world(jury())
    world.up("jury")
    ask(world)
    assert kinds(world.score("r", "jury")) == kinds(world.decline("r", "jury")) == [Kind.NAMESAKE]
    world.advance(2 * SECOND)
    assert the_answer(world).cause == "default"
    assert kinds(world.score("r", "jury")) == [Kind.NAMESAKE]


def test_nobody_waits_for_a_model_that_bears_the_name_of_a_quorum_in_use_elsewhere() -> None:
    quorum = {"jury": {"members": ["a", "b"], "need": 1}}
    steps = [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["*"]}]
    world = a_world(parse({**_plain(jury()), "step": steps, "rollout": {"jury": 0.0}, "quorum": quorum}))
    for name in ("champion", "jury", "zoe"):
        world.up(name)
    ask(world, "taken")
    ask(world, "refused")
    world.score("taken", "zoe")
    assert [answer.label for answer in answers(world.decline("taken", "champion"))] == ["by-zoe"]
    world.decline("refused", "champion")
    assert [answer.cause for answer in answers(world.decline("refused", "zoe"))] == ["default"]


def test_a_quorum_that_is_only_rolled_out_is_not_let_in_elsewhere_by_a_star() -> None:
    quorum = {"jury": {"members": ["a", "b"], "need": 1}}
    steps = [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["champion", "*"]}]
    for share, model in ((0.0, "b"), (1.0, "jury")):
        world = a_world(schedule(step=steps, rollout={"jury": share}, quorum=quorum, ignore=["a"]))
        ask(world)
        world.score("r", "a", "hen")
        world.score("r", "b", "hen")
        world.advance(SECOND)
        chosen = the_answer(world).chosen
        assert chosen is not None
        assert chosen.model == model


def test_members_of_a_quorum_have_room_in_a_mailbox_flooded_by_strangers() -> None:
    world = World(jury(need=2), MailboxPolicy(max_models=3))
    ask(world)
    for number in range(20):
        world.score("r", f"flooder{number}")
    world.score("r", "a", "hen")
    world.score("r", "b", "hen")
    world.advance(SECOND)
    assert the_answer(world).label == "hen"


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ([("hen", 0.1), ("egg", 0.9), ("hen", 0.1)], "hen"),
        ([("hen", 0.9), ("egg", 0.5)], "hen"),
        ([("hen", 0.5), ("egg", 0.5)], "egg"),
    ],
    ids=["most votes", "then the surer ones", "then the name"],
)
def test_a_vote_is_won_by(votes: list[tuple[str, float]], winner: str) -> None:
    assert count((Vote(*vote) for vote in votes), 5).label == winner


def _plain(of: Schedule) -> dict[str, object]:
    return of.to_object()
