"""The tables of a schedule beyond its steps: what they mean, what is refused, and on which line."""

import tomllib
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.mailbox.plan import Plan, Plans
from roost_rendezvous.schedule import Schedule, Step, explain, load, parse, to_object

WHOLE = """
task = "henhouse"
sla_ms = 2000
ignore = ["canary"]
rank = ["champion", "rules", "old"]
cohort_tag = "door"

[[step]]
after_ms = 0
accept = ["champion"]

[[step]]
after_ms = 600
accept = ["champion", "jury"]

[[step]]
after_ms = 1200
accept = ["*"]

[default]
after_ms = 1900
label = "unknown"

[rollout]
challenger = 0.1
other = 0.5

[sample]
canary = 0.01

[quorum.jury]
members = ["a", "b", "c", "d", "e"]
share = 0.8
"""
LOT = WHOLE.replace("[rollout]\nchallenger = 0.1\nother = 0.5", "[random]\nchampion = 0.9\nchallenger = 0.1")
assert LOT != WHOLE


def whole(old: str = "", new: str = "") -> Schedule:
    assert old in WHOLE
    return parse(tomllib.loads(WHOLE.replace(old, new, 1)))


def test_a_schedule_with_every_table_survives_the_wire_with_its_version() -> None:
    for text in (WHOLE, LOT):
        schedule = parse(tomllib.loads(text))
        again = parse(to_object(schedule))
        assert (again, again.version) == (schedule, schedule.version)


def test_what_a_schedule_does_not_use_does_not_stand_on_the_wire() -> None:
    schedule = parse({**to_object(whole()), "rollout": {}, "sample": {}, "rank": []})
    assert {"rollout", "sample", "rank", "random"}.isdisjoint(to_object(schedule))


def test_the_order_of_a_roll_out_is_part_of_the_version_for_the_first_model_wins() -> None:
    swapped = whole("challenger = 0.1\nother = 0.5", "other = 0.5\nchallenger = 0.1")
    assert swapped.version != whole().version


def test_the_models_of_a_schedule_are_those_that_may_answer_by_name_and_the_members_of_quorums() -> None:
    assert whole().models == ("champion", "challenger", "other", "rules", "old", "a", "b", "c", "d", "e")


def test_a_promoted_model_has_the_first_step_alone_and_those_of_the_first_step_come_with_the_second() -> None:
    promoted = whole().promoting("challenger")
    assert [(step.after_ms, step.accept) for step in promoted.steps] == [
        (0, ("challenger",)),
        (600, ("challenger", "champion", "jury")),
        (1200, ("*",)),
    ]


def test_a_promoted_model_leaves_the_later_steps_that_named_it_and_an_empty_step_goes() -> None:
    text = WHOLE.replace('accept = ["*"]', 'accept = ["challenger"]').replace('rank = ["champion", "rules", "old"]', "")
    promoted = parse(tomllib.loads(text)).promoting("challenger")
    assert promoted.steps[1:] == (Step(after_ms=600, accept=("challenger", "champion", "jury")),)


def test_a_star_of_the_first_step_comes_with_the_second_and_last() -> None:
    promoted = whole('accept = ["champion"]', 'accept = ["champion", "*"]').promoting("challenger")
    assert promoted.steps[1].accept == ("challenger", "champion", "jury", "*")


def test_rank_orders_the_models_that_only_a_star_lets_in() -> None:
    plan = Plan(whole())
    names = ["aviary", "old", "rules", "jury", "champion"]
    assert sorted(names, key=plan.rank) == ["champion", "jury", "rules", "old", "aviary"]
    assert not plan.lists("rules"), "a ranked model nobody has heard of is not waited for"


def test_a_share_of_a_quorum_is_rounded_up_and_floats_do_not_add_a_vote() -> None:
    assert whole().quorum["jury"].votes == 4
    assert whole('"d", "e"', '"d"').quorum["jury"].votes == 4
    assert whole("share = 0.8", "need = 3").quorum["jury"].votes == 3


def test_the_first_model_of_a_roll_out_wins_where_several_would() -> None:
    text = WHOLE.replace("challenger = 0.1", "challenger = 1.0").replace("other = 0.5", "other = 1.0")
    plans = Plans(parse(tomllib.loads(text)))
    assert plans.choose({"door": "left"}, "r").cohort == "challenger"


def test_a_share_of_nothing_rolls_out_to_nobody() -> None:
    plans = Plans(whole("challenger = 0.1\nother = 0.5", "challenger = 0"))
    assert {plans.choose({"door": f"d{n}"}, "r").cohort for n in range(300)} == {""}


REFUSED = [
    ("[rollout]\nchallenger = 0.1", "[rollout]\nchallenger = 1.1", "rollout.challenger", 25),
    ("[rollout]\nchallenger = 0.1", "[rollout]\nchampion = 0.1", "first step accepts champion", 25),
    ("[rollout]\nchallenger = 0.1", "[rollout]\ncanary = 0.1", "both in [rollout] and in ignore", 25),
    ("[rollout]\nchallenger = 0.1", '[rollout]\n"hen house" = 0.1', "hen house", 25),
    ("[sample]", "[random]\na = 0.5\nb = 0.5\n[sample]", "both [rollout] and [random]", 28),
    ("[rollout]\nchallenger = 0.1\nother = 0.5", "[random]\na = 0.5\nb = 0.4", "add up to 0.9", 24),
    ("[rollout]\nchallenger = 0.1\nother = 0.5", "[random]\na = 1.0", "random.a", 25),
    ("[rollout]\nchallenger = 0.1\nother = 0.5", "[random]\na = 1.5\nb = -0.5", "random.a", 25),
    ("canary = 0.01", "canary = 1.0", "sample.canary", 29),
    ("canary = 0.01", "canary = 0", "sample.canary", 29),
    ("canary = 0.01", "jury = 0.1", "jury is a quorum", 29),
    ("canary = 0.01", "challenger = 0.1", "also promoted", 29),
    ("share = 0.8", "share = 0.8\nneed = 2", "either need or share", 31),
    ("share = 0.8", "", "either need or share", 31),
    ("share = 0.8", "share = 1.2", "quorum.jury.share", 33),
    ("share = 0.8", "need = 6", "quorum.jury.need", 33),
    ("share = 0.8", "need = 0", "quorum.jury.need", 33),
    ('members = ["a", "b", "c", "d", "e"]', 'members = ["a"]', "1 members", 32),
    ('members = ["a", "b", "c", "d", "e"]', 'members = ["a", "a"]', "twice", 32),
    ('members = ["a", "b", "c", "d", "e"]', 'members = ["a", "jury"]', "is a quorum", 32),
    ('members = ["a", "b", "c", "d", "e"]', 'members = ["a", "*"]', "*", 32),
    ('accept = ["champion", "jury"]', 'accept = ["champion", "a"]', "No step names the quorum jury", 31),
    ('rank = ["champion", "rules", "old"]', 'rank = ["rules", "champion"]', "rank contradicts", 5),
    ('rank = ["champion", "rules", "old"]', 'rank = ["canary"]', "both in rank and in ignore", 5),
    ('accept = ["*"]', 'accept = ["fast"]', "no step accepts", 5),
    ('cohort_tag = "door"', 'cohort_tag = ""', "cohort_tag", 6),
    ("after_ms = 600", 'after_ms = "soon"', "after_ms", 13),
    ("after_ms = 600", "after_ms = 0", "step[1].after_ms", 13),
    ("after_ms = 600", "afterwards_ms = 600", "afterwards_ms", 13),
    ("after_ms = 1900", "after_ms = 1100", "default.after_ms", 21),
    ("share = 0.8", 'share = 0.8\nignore = ["canary"]', "inside [quorum.jury]", 34),
    ("after_ms = 1900", 'after_ms = 1900\ncohort_tag = "door"', "inside [default]", 22),
    ("[rollout]", '[rollout]\nignore = ["canary"]', "inside [rollout]", 25),
]


@pytest.mark.parametrize(("old", "new", "says", "line"), REFUSED, ids=[says for _, _, says, _ in REFUSED])
def test_a_table_that_cannot_be_is_refused_with_the_field_and_its_line(
    tmp_path: Path, old: str, new: str, says: str, line: int
) -> None:
    assert old in WHOLE
    path = tmp_path / "schedule.toml"
    path.write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(Misuse) as caught:
        load(path)
    assert says in caught.value.problem
    assert caught.value.problem.startswith(f"{path}:{line}: ")
    assert caught.value.remedy


@pytest.mark.parametrize("table", ["[rollout]\nx = 0.5", "[random]\nchampion = 0.5\nx = 0.5"])
def test_a_promotion_needs_a_second_step_for_the_others(table: str) -> None:
    text = (
        'task = "t"\nsla_ms = 9\nstep = [{after_ms = 0, accept = ["champion"]}]\ndefault = {after_ms = 8, label = "u"}'
    )
    with pytest.raises(Misuse, match="needs two steps"):
        parse(tomllib.loads(f"{text}\n{table}"))


def test_explain_speaks_about_every_table() -> None:
    told = "\n".join(explain(whole()))
    for sentence in (
        "From 600 ms on the quorum jury may answer too",
        "Among the other models rules, then old is preferred, then the rest by name.",
        "For 10 % of the values of the tag 'door' challenger is the preferred model",
        "jury answers as soon as 4 of a, b, c, d, e have",
        "canary evaluates 1 % of the requests",
        "Never official: canary.",
    ):
        assert sentence in told
    assert "by lot (champion 90 %, challenger 10 %)" in "\n".join(explain(parse(tomllib.loads(LOT))))
