"""What is odd about a schedule and may still be meant: names that nobody bears, samples that are never official."""

import pytest

from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.schedule.doubts import about_names, about_samples, unknown

KNOWN = {"champion", "fast", "canary", "a", "b"}


def schedule(**more: object) -> Schedule:
    return schedules.parse(
        {
            "task": "nest",
            "sla_ms": 2000,
            "step": [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["fast"]}],
            "default": {"after_ms": 1900, "label": "unknown"},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"step": [{"after_ms": 0, "accept": ["fast", "typo"]}]}, "the step at 0 ms names"),
        ({"rollout": {"typo": 0.1}}, "[rollout] names"),
        ({"random": {"champion": 0.9, "typo": 0.1}}, "[random] names"),
        ({"sample": {"typo": 0.1}}, "[sample] names"),
        ({"ignore": ["typo"]}, "ignore names"),
        ({"ignore": ["typo"], "sample": {"typo": 0.1}}, "[sample] and ignore name:"),
        (
            {
                "step": [{"after_ms": 0, "accept": ["jury"]}],
                "quorum": {"jury": {"members": ["a", "b", "typo"], "need": 2}},
            },
            "the quorum jury names",
        ),
        ({"step": [{"after_ms": 0, "accept": ["champion", "*"]}], "rank": ["champion", "typo"]}, "rank names"),
    ],
)
def test_a_name_that_nobody_bears_is_told_wherever_it_stands_and_nothing_else_is(
    more: dict[str, object], where: str
) -> None:
    (sentence,) = about_names(schedule(**more), KNOWN, broker_asked=True)
    assert sentence.startswith("The task nest has no model typo, which ")
    assert where in sentence
    assert about_names(schedule(**more), KNOWN | {"typo"}, broker_asked=True) == []


def test_only_a_name_that_is_near_is_proposed() -> None:
    (near,) = about_names(schedule(ignore=["cannary"]), KNOWN, broker_asked=True)
    assert near.endswith("neither the settings nor the broker know it. Did you mean canary?")
    (far,) = about_names(schedule(ignore=["zebra"]), KNOWN, broker_asked=False)
    assert far.endswith("the settings do not know it.")


@pytest.mark.parametrize(
    ("accept", "known", "default_only"),
    [
        (["champoin"], {"champion"}, True),
        (["champoin", "fast"], {"champion", "fast"}, False),
        (["champoin", "*"], {"champion"}, False),
        (["champoin", "*"], {"canary"}, True),  # it is ignored
        (["champoin"], set(), True),
    ],
)
def test_where_nobody_known_could_answer_the_default_is_announced(
    accept: list[str], known: set[str], default_only: bool
) -> None:
    agreed = schedule(step=[{"after_ms": 0, "accept": accept}], ignore=["canary"])
    said = " ".join(about_names(agreed, known, broker_asked=True))
    assert ("every request gets the default" in said) == default_only


def test_any_and_quorums_are_no_models() -> None:
    jury = schedule(
        step=[{"after_ms": 0, "accept": ["jury", "*"]}], quorum={"jury": {"members": ["a", "b"], "need": 2}}
    )
    assert unknown(jury, KNOWN) == []


def test_a_model_that_is_only_sampled_is_told_unless_something_lets_it_in_or_ignores_it() -> None:
    (sentence,) = about_samples(schedule(sample={"canary": 0.01}))
    assert sentence.startswith("sample.canary: canary can never be official")
    anybody = [{"after_ms": 0, "accept": ["champion", "*"]}]
    assert about_samples(schedule(sample={"canary": 0.01}, step=anybody)) == []
    assert about_samples(schedule(sample={"canary": 0.01}, ignore=["canary"])) == []
    assert about_samples(schedule(sample={"fast": 0.5})) == []
