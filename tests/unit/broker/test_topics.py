import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Misuse
from roost_broker.topics import (
    NodeTopics,
    is_filter,
    is_topic,
    last_level,
    matches,
    model_of_state_topic,
    overlap,
    share_group,
    without_share,
)

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True)
LEVEL = st.sampled_from(["a", "b", "c", ""])
FILTER_LEVEL = st.sampled_from(["a", "b", "+", ""])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(lambda topic: topic != "")
FILTER = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(FILTER_LEVEL, min_size=1, max_size=3),
    st.sampled_from([[], ["#"]]),
).filter(lambda text: text != "")


def test_topics_are_built_as_documented() -> None:
    task = NodeTopics("coop-1").task("henhouse")
    assert task.input == "roost/coop-1/henhouse/input"
    assert task.scores("champion") == "roost/coop-1/henhouse/scores/champion"
    assert task.model_state("champion") == "roost/coop-1/henhouse/models/champion/state"
    assert NodeTopics("coop-1", base="farm/east").availability == "farm/east/coop-1/availability"


@given(NAME)
def test_a_name_is_read_back_from_the_topics_built_with_it(name: str) -> None:
    task = NodeTopics("n").task("t")
    assert last_level(task.scores(name)) == name
    assert last_level(task.results(name)) == name
    assert model_of_state_topic(task.model_state(name)) == name
    assert model_of_state_topic(task.model_state(name, 3)) == name
    assert matches(task.all_scores, task.scores(name))
    assert matches(task.all_results, task.results(name))
    assert matches(task.all_model_states, task.model_state(name))
    assert matches(task.all_model_states, task.model_state(name, 3))


@pytest.mark.parametrize("bad", ["", "a/b", "a b", "+", "#", "$x", ".a", "-a", "x" * 65, "a\n", "ä"])
def test_what_cannot_be_one_level_is_refused_everywhere(bad: str) -> None:
    node = NodeTopics("n")
    task = node.task("t")
    for build in (NodeTopics, node.task, node.camera, node.role, task.scores, task.results, task.model_state):
        with pytest.raises(Misuse, match="cannot be the name"):
            build(bad)
    with pytest.raises(Misuse):
        NodeTopics("n", base=f"roost/{bad}" if "/" not in bad else f"a//{bad}")


@pytest.mark.parametrize("word", ["availability", "info", "roles", "event"])
def test_a_task_or_camera_cannot_be_called_like_a_device_topic(word: str) -> None:
    with pytest.raises(Misuse, match="reserved"):
        NodeTopics("n").task(word)
    with pytest.raises(Misuse, match="reserved"):
        NodeTopics("n").camera(word)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("+/+", "/a", True),
        ("+", "/a", False),
    ],
)
def test_filters_match_as_the_standard_says(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@given(FILTER, FILTER, TOPIC)
def test_filters_that_do_not_overlap_never_match_the_same_topic(one: str, other: str, topic: str) -> None:
    if matches(one, topic) and matches(other, topic):
        assert overlap(one, other)
        assert overlap(other, one)


@given(FILTER, FILTER)
def test_filters_that_overlap_have_a_topic_in_common(one: str, other: str) -> None:
    if overlap(one, other):
        left, right = one.split("/"), other.split("/")
        size = max(len(left), len(right))
        witness = []
        for index in range(size):
            levels = [side[index] if index < len(side) else "#" for side in (left, right)]
            literal = [level for level in levels if level not in "+#" or level == ""]
            witness.append(literal[0] if literal else "w")
        # Where one side ends and the other goes on with '#', the shorter topic is the common one.
        candidates = ["/".join(witness[:length]) for length in range(1, size + 1)]
        assert any(matches(one, topic) and matches(other, topic) for topic in candidates)


@given(FILTER)
def test_generated_filters_are_legal_and_overlap_themselves(text: str) -> None:
    assert is_filter(text)
    assert is_filter(f"$share/group/{text}")
    assert overlap(text, text)
    assert is_topic(text) is ("+" not in text and "#" not in text)


def test_a_shared_subscription_is_taken_apart() -> None:
    assert (share_group("$share/g/a/+"), without_share("$share/g/a/+")) == ("g", "a/+")
    assert (share_group("a/+"), without_share("a/+")) == (None, "a/+")
    assert not is_filter("$share/g")
    assert not is_filter("$share/+/a")
