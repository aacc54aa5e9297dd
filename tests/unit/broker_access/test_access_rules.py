"""Rights as text, and what each role is given: the parts that need no broker."""

import pytest

from roost_broker import access_rules
from roost_broker.access_rules import Grant, may, read, write
from roost_broker.errors import Misuse
from roost_broker.mosquitto_device import DeviceBrokerSettings, OutsideSettings, ProgramSettings, program_rights
from roost_broker.role_access import Household, Role, session_user, sessions
from roost_broker.topics import NodeTopics

DEVICE = NodeTopics("coop-1")
HOME = Household(DEVICE, ("nest",), ("yard",))


def test_each_user_has_a_section_with_each_right_once() -> None:
    rights = {"b": (*read("x/#"), *read("x/#"), *write("y")), "a": (Grant("readwrite", "z"),), "nobody": ()}
    assert access_rules.render(rights, "Why.") == (
        "# Written by `roost broker setup`; changes are overwritten. Why.\n"
        "\nuser a\ntopic readwrite z\n"
        "\nuser b\ntopic read x/#\ntopic write y\n"
        "\nuser nobody\n"
    )


@pytest.mark.parametrize("user", ["", "a\ntopic readwrite #", " a", "a ", "a/b", "+", "a#b"])
def test_a_user_that_could_be_more_than_a_name_is_refused(user: str) -> None:
    with pytest.raises(Misuse, match="cannot be a user"):
        access_rules.render({user: read("x")}, "")


@pytest.mark.parametrize("topic", ["", "x\nuser operator", "x/#/y", "a+", "$share/g/x", " x", "x "])
def test_a_topic_that_could_be_more_than_a_filter_is_refused(topic: str) -> None:
    with pytest.raises(Misuse, match="cannot stand"):
        access_rules.render({"a": read(topic)}, "")


def test_a_right_reaches_as_far_as_its_filter_and_its_kind() -> None:
    grants = (*read("a/+/b"), *write("c/#"), Grant("readwrite", "d"))
    assert may(grants, "read", "a/x/b")
    assert not may(grants, "write", "a/x/b")
    assert may(grants, "write", "c/x/y")
    assert not may(grants, "read", "c/x/y")
    assert may(grants, "read", "d")
    assert may(grants, "write", "d")
    assert not may((), "read", "d")


def test_what_the_centre_may_say_by_the_gateway_is_what_the_settings_let_down_and_no_more() -> None:
    def written(**more: tuple[str, ...]) -> set[str]:
        home = Household(DEVICE, ("nest",), (), **more)
        grants = sessions(Role("gateway", "gateway"), home)[""]
        return {topic for access, topic in grants if access == "write"}

    own = {"roost/coop-1/roles/gateway", "roost/coop-1/event", "roost/coop-1/+/receipts"}
    assert written() == own
    assert written(down=("request/ota",)) == own | {"roost/coop-1/request/ota"}
    assert written(down=("+/schedule",)) == own | {"roost/coop-1/+/schedule"}
    carried = written(carried=("roost/a", "roost/b"), down=("request/ota",))
    assert {"roost/a/request/ota", "roost/b/request/ota", "roost/a/+/receipts"} <= carried


def test_only_operator_rendezvous_and_the_agents_own_session_may_write_a_schedule() -> None:
    writers = set()
    kinds = ("rendezvous", "injector", "model", "decoy", "monitor", "capture", "alerts", "proxy", "ota", "desk", "feed")
    for kind in (*kinds, "page"):
        camera = "yard" if kind == "capture" else ""
        role = Role(kind, kind, task="nest", model="m", camera=camera, other="other")
        for session, grants in sessions(role, HOME).items():
            if may(grants, "write", "roost/coop-1/nest/schedule"):
                writers.add(session_user(kind, session))
    assert writers == {"rendezvous", "ota.schedule"}


def test_a_kind_of_role_without_rules_is_refused_instead_of_given_nothing() -> None:
    with pytest.raises(Misuse, match="Nobody has said"):
        sessions(Role("teapot", "teapot"), HOME)


@pytest.mark.parametrize("topic", ["roost/coop-1/nest/schedule", "roost/#", "#", "+/coop-1/nest/input", "roost/+/+/+"])
def test_another_program_cannot_be_given_a_word_in_our_own_tree(topic: str) -> None:
    settings = DeviceBrokerSettings(programs={"zigbee": ProgramSettings(write=(topic,))})
    with pytest.raises(Misuse, match=r"mosquitto\.programs\.zigbee\.write"):
        program_rights(settings, DEVICE)


def test_another_program_has_its_own_topics_may_read_ours_and_may_suggest() -> None:
    wanted = ProgramSettings(read=("roost/#",), write=("zigbee/#", "roost/coop-1/nest/suggestions"))
    rights = program_rights(DeviceBrokerSettings(programs={"zigbee": wanted}), DEVICE)
    assert rights["zigbee"] == read("roost/#") + write("zigbee/#", "roost/coop-1/nest/suggestions")
    assert rights["watcher"] == read("roost/#")


@pytest.mark.parametrize(
    "wrong",
    [
        {"operators": ("a/b",)},
        {"watchers": ("+",)},
        {"port": 0},
        {"max_connections": 0},
        {"address": ""},
        {"address": "0.0.0.0\nallow_anonymous true"},
    ],
)
def test_a_setting_of_the_outside_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        OutsideSettings(**wrong)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_connections": 0},
        {"max_keepalive_s": 5},
        {"memory_mb": 1},
        {"files": "/etc\nlistener 1"},
        {"programs": {"a.b": ProgramSettings()}},
        {"programs": {"a:b": ProgramSettings()}},
        {"programs": {"a": ProgramSettings(read=("$SYS/#",))}},
        {"programs": {"a": ProgramSettings(write=("x\ny",))}},
        {"autosave_s": 0},
    ],
)
def test_a_setting_of_the_broker_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse, match="mosquitto"):
        DeviceBrokerSettings(**wrong)  # type: ignore[arg-type]  # that is the test
