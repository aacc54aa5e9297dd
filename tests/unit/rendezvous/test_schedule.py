import tomllib
from pathlib import Path

import pytest

from roost_broker.clock import MS
from roost_broker.errors import Misuse
from roost_rendezvous.mailbox.plan import Plan
from roost_rendezvous.schedule import explain, load, parse, to_object

HENHOUSE = """
task = "henhouse"
sla_ms = 2000
ignore = ["canary", "new-model-in-preproduction"]

[[step]]
after_ms = 0
accept = ["champion"]

[[step]]
after_ms = 600
accept = ["champion", "challenger"]

[[step]]
after_ms = 1200
accept = ["*"]

[default]
after_ms = 1900
label = "unknown"

[rollout]
"""


def text_with(old: str, new: str) -> object:
    assert old in HENHOUSE
    return tomllib.loads(HENHOUSE.replace(old, new))


def test_the_schedule_of_the_architecture_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "schedule.toml"
    path.write_text(HENHOUSE)
    schedule = load(path)
    assert schedule.task == "henhouse"
    assert schedule.named == ("champion", "challenger")
    assert [step.after_ms for step in schedule.steps] == [0, 600, 1200]
    assert schedule.default.label == "unknown"


def test_a_schedule_survives_the_wire_with_its_version() -> None:
    schedule = parse(tomllib.loads(HENHOUSE))
    again = parse(to_object(schedule))
    assert again == schedule
    assert again.version == schedule.version


def test_a_changed_schedule_has_another_version() -> None:
    assert parse(text_with("600", "601")).version != parse(tomllib.loads(HENHOUSE)).version


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("after_ms = 0\n", "after_ms = 5\n", "step[0].after_ms"),
        ("after_ms = 600", "after_ms = 0", "step[1].after_ms"),
        ("after_ms = 1200", "after_ms = 600", "step[2].after_ms"),
        ("after_ms = 1900", "after_ms = 1200", "default.after_ms"),
        ("after_ms = 1900", "after_ms = 2000", "SLA"),
        ('accept = ["champion"]', "accept = []", "step[0].accept"),
        ('accept = ["champion"]', 'accept = ["champion", "champion"]', "twice"),
        ('accept = ["champion"]', 'accept = ["*", "champion"]', '"*" last'),
        ('accept = ["champion"]', 'accept = ["roost/#"]', "roost/#"),
        ('accept = ["champion", "challenger"]', 'accept = ["challenger", "champion"]', "contradicts"),
        ('"canary", ', '"champion", ', "both accepted"),
        ('"canary", ', '"*", ', "ignore"),
        ("[rollout]", "[rollout]\nchallenger = 1.1", "rollout.challenger"),
        ("[rollout]", '[rollout]\nignore = ["canary"]', "top"),
        ("sla_ms = 2000", "sla_ms = 0", "sla_ms"),
        ("sla_ms = 2000", 'sla_ms = "fast"', "sla_ms"),
        ("sla_ms = 2000", "sla_ms = 2000\nquorum = 2", "quorum"),
        ("sla_ms = 2000", "sla_ms = 2000\npatience = 2", "patience"),
        ('label = "unknown"', 'label = ""', "label"),
        ('task = "henhouse"', 'task = "hen house"', "hen house"),
        ('task = "henhouse"', "", "task"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_the_field(old: str, new: str, says: str) -> None:
    with pytest.raises(Misuse) as caught:
        parse(text_with(old, new))
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("loose", [None, 3, [], "text", {"step": 1}])
def test_what_is_no_schedule_at_all_is_refused(loose: object) -> None:
    with pytest.raises(Misuse):
        parse(loose)


def test_a_missing_file_and_broken_toml_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"absent\.toml"):
        load(tmp_path / "absent.toml")
    bad = tmp_path / "bad.toml"
    for text in ("task = ", f"x = {'9' * 5_000}", f"x = {'[' * 5_000}{']' * 5_000}"):
        bad.write_text(text)
        with pytest.raises(Misuse, match=r"bad\.toml"):
            load(bad)


def test_explain_says_who_may_answer_when() -> None:
    lines = explain(parse(tomllib.loads(HENHOUSE)))
    assert lines[0] == "From the start champion may answer, and nobody else."
    assert "From 600 ms on challenger may answer too" in lines[1]
    assert "any other model" in lines[2]
    assert any("'unknown'" in line and "2000" in line for line in lines)
    assert "canary" in lines[-1]


def test_the_plan_ranks_named_models_first_and_ignored_never() -> None:
    plan = Plan(parse(tomllib.loads(HENHOUSE)))
    names = ["zebra", "aviary", "challenger", "champion"]
    assert sorted(names, key=plan.rank) == ["champion", "challenger", "aviary", "zebra"]
    assert plan.official_ns("challenger") == 600 * MS
    assert plan.official_ns("zebra") == 1200 * MS
    assert plan.official_ns("canary") is None


def test_a_star_lets_in_at_its_step_what_later_steps_only_name() -> None:
    plan = Plan(parse(text_with('accept = ["champion"]', 'accept = ["champion", "*"]')))
    assert plan.official_ns("challenger") == 0
    assert plan.prefers("challenger")


@pytest.mark.parametrize(("deadline_ms", "default_ms"), [(2000, 1900), (9000, 1900), (500, 400), (100, 50), (2, 1)])
def test_the_default_comes_in_time_for_a_nearer_deadline(deadline_ms: int, default_ms: int) -> None:
    assert Plan(parse(tomllib.loads(HENHOUSE))).default_after_ns(deadline_ms * MS) == default_ms * MS
