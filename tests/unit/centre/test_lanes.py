import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.catalogue import topic_catalogue
from roost_broker.centre.lanes import (
    LANE_NAMES,
    LANES,
    down_subject_of,
    gap_topic,
    lane_named,
    lane_of,
    node_of,
    node_subjects,
    subject_of,
    task_of,
    topic_of,
)
from roost_broker.errors import Malformed, Misuse

LEVEL = st.text(min_size=0, max_size=12).filter(lambda text: "/" not in text)


@pytest.mark.parametrize(
    ("topic", "lane"),
    [
        ("roost/coop-1/nest/events", "alerts"),
        ("roost/coop-1/availability", "devices"),
        ("roost/coop-1/info", "devices"),
        ("roost/coop-1/health", "devices"),
        ("roost/coop-1/event", "devices"),
        ("roost/coop-1/ota", "devices"),
        ("roost/coop-1/roles/capture", "devices"),
        ("roost/coop-1/henhouse/models/champion/state", "devices"),
        ("roost/coop-1/henhouse/models/champion/state/2", "devices"),
        ("roost/coop-1/henhouse/schedule", "devices"),
        ("roost/coop-1/henhouse/results/capture", "results"),
        ("roost/coop-1/henhouse/input", "inputs"),
        ("roost/coop-1/henhouse/scores/champion", "scores"),
        ("roost/coop-1/henhouse/raw", "extras"),
        ("roost/coop-1/henhouse/suggestions", "extras"),
        ("roost/coop-1/henhouse/traces", "extras"),
        ("roost/coop-1/henhouse/deadletter", "extras"),
        ("roost/coop-1/gap", "extras"),
        ("roost/coop-1/request/ota", None),
        ("roost/coop-1", None),
        ("homeassistant/device/x/config", None),
    ],
)
def test_each_topic_has_its_lane(topic: str, lane: str | None) -> None:
    assert lane_of(topic) == lane


def test_every_topic_of_the_catalogue_has_a_lane_but_orders() -> None:
    for entry in topic_catalogue():
        topic = "roost/" + re.sub(r"<[^>]*>", "x", entry.topic)
        assert (lane_of(topic) is None) == ("/request/" in topic), topic


def test_a_role_called_events_and_a_cameras_events_do_not_meet() -> None:
    assert subject_of("roost/coop-1/roles/events", "devices") == "up.devices.roost.coop-1.roles.events"
    assert subject_of("roost/coop-1/nest/events", "alerts") == "up.alerts.roost.coop-1.nest.events"


def test_the_subjects_of_streams_do_not_overlap() -> None:
    heads = {lane.subjects.removesuffix(">") for lane in LANES.values()}
    assert len(heads) == len(LANE_NAMES)
    assert not any(one != other and one.startswith(other) for one in heads for other in heads)


@given(st.lists(LEVEL, min_size=1, max_size=6), st.sampled_from(["roost", "site/roost"]))
def test_every_topic_has_one_subject_and_the_way_back(levels: list[str], base: str) -> None:
    topic = "/".join([base, *levels])
    subject = subject_of(topic, "extras", base)
    assert topic_of(subject) == topic
    assert topic_of(down_subject_of(topic, base)) == topic
    assert all(token and not set(token) & set(" .*>\t\r\n") for token in subject.split("."))
    assert subject.isascii()


def test_a_base_of_several_levels_is_one_token() -> None:
    assert subject_of("site/roost/coop-1/info", "devices", "site/roost") == "up.devices.site%2Froost.coop-1.info"
    assert lane_of("site/roost/coop-1/info", "site/roost") == "devices"
    assert lane_of("site/roost/coop-1/info") is None


def test_the_node_and_the_task_are_read_from_the_topic() -> None:
    assert node_of("roost/coop-1/henhouse/input") == "coop-1"
    assert node_of("other/coop-1/henhouse/input") is None
    assert task_of("roost/coop-1/henhouse/models/champion/state") == "henhouse"
    assert task_of("roost/coop-1/roles/capture") is None
    assert task_of("roost/coop-1/availability") is None
    assert task_of(gap_topic("coop-1")) is None


def test_all_of_a_device_or_of_all_devices_is_a_filter() -> None:
    assert node_subjects("inputs", "coop-1") == "up.inputs.roost.coop-1.>"
    assert node_subjects("inputs", "+") == "up.inputs.roost.*.>"


@pytest.mark.parametrize("name", ["inputs", "INPUTS"])
def test_a_lane_is_found_by_its_name_or_its_streams(name: str) -> None:
    assert lane_named(name) is LANES["inputs"]


def test_a_lane_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Misuse, match="alerts, devices"):
        lane_named("inputz")


def test_a_topic_outside_the_base_has_no_subject() -> None:
    with pytest.raises(Misuse, match="not below"):
        subject_of("homeassistant/x", "extras")


@pytest.mark.parametrize("subject", ["", "up", "up.inputs", "up.inputs.roost", "x.y.z.w", "up..roost.x"])
def test_what_is_no_subject_of_ours_is_malformed(subject: str) -> None:
    with pytest.raises(Malformed):
        topic_of(subject)


def test_priority_is_the_order_of_the_table() -> None:
    assert [LANES[name].priority for name in LANE_NAMES] == list(range(len(LANE_NAMES)))
