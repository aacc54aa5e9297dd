"""The discovery document: by Home Assistant's rules, on topics that exist, with rights that suffice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ha_rules import problems

from roost_broker.access_rules import may
from roost_broker.catalogue import entry_of
from roost_broker.messages import MAX_BYTES, OtaOrder, decode
from roost_broker.role_access import Household, home_assistant
from roost_broker.topics import NodeTopics
from roost_edge.discovery.announced import Announced
from roost_edge.discovery.document import Inventory, config_topic, document, platforms
from roost_edge.discovery.settings import DiscoverySettings

NODE = NodeTopics("coop-1")
CAMERAS = ("nest", "yard")
INVENTORY = Inventory(NODE, CAMERAS, (("henhouse", "fast"),), "Raspberry Pi Zero 2 W Rev 1.0")
PLAIN = DiscoverySettings()


def made(inventory: Inventory = INVENTORY, settings: DiscoverySettings = PLAIN) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(document(inventory, settings)))
    return found


def every_topic(found: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from every_topic(value, key)
    elif isinstance(found, list):
        for value in found:
            yield from every_topic(value, name)
    elif name == "topic" or name.endswith("_topic"):
        yield name, found


@pytest.mark.parametrize(
    ("node", "settings"),
    [
        (NODE, PLAIN),
        (NodeTopics("x"), DiscoverySettings(name="Coop", area="Garden", url="http://coop-1.local:8080")),
        (NodeTopics("coop_2", "farm/roost"), DiscoverySettings(prefix="ha")),
    ],
)
def test_home_assistant_takes_the_whole_document(node: NodeTopics, settings: DiscoverySettings) -> None:
    inventory = Inventory(node, CAMERAS, (("henhouse", "fast"),), removed={"old_motion": "binary_sensor"})
    payload = json.dumps(document(inventory, settings)).encode()
    assert problems(config_topic(node, settings), payload, prefix=settings.prefix) == []
    assert len(payload) < MAX_BYTES / 5


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("components", "nest_motion", "unique_id"), None),
        (("components", "nest_motion", "state_topic"), "roost/+/motion"),
        (("components", "nest_motion", "payload_onn"), "on"),
        (("components", "nest_motion", "platform"), "motion"),
        (("components", "nest_label", "value_template"), "{{ value_json.label }"),
        (("components", "nest_sighting", "event_types"), []),
        (("components", "doctor", "unique_id"), "roost-coop-1_problem"),
        (("device", "identifiers"), []),
        (("origin", "name"), None),
        (("availability",), [{"value_template": "x"}]),
        (("device", "configuration_url"), "coop-1.local"),
    ],
)
def test_the_checker_sees_what_home_assistant_would_refuse_or_drop(path: tuple[str, ...], value: Any) -> None:
    found = made()
    part = found
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    if value is None:
        del part[path[-1]]
    assert problems(config_topic(NODE, PLAIN), json.dumps(found).encode()) != []


def test_every_topic_is_one_of_ours_and_the_user_of_home_assistant_may_use_it() -> None:
    where = {"discovery": config_topic(NODE, PLAIN), "birth": PLAIN.birth_topic}
    grants = home_assistant(Household(NODE, cameras=CAMERAS, **where))
    found = list(every_topic(made()))
    assert len(found) > 30
    for name, topic in found:
        assert entry_of(topic) is not None, topic
        assert may(grants, "write" if name == "command_topic" else "read", topic), topic
    used = {topic for _, topic in found}
    beside = {config_topic(NODE, PLAIN), PLAIN.birth_topic}
    assert {grant.topic for grant in grants} - used == beside, "and it may nothing else"


def test_an_entity_of_a_camera_is_available_while_device_and_camera_are() -> None:
    found = made()
    assert [one["topic"] for one in found["availability"]] == ["roost/coop-1/availability"]
    motion = found["components"]["nest_motion"]
    assert [one["topic"] for one in motion["availability"]] == [
        "roost/coop-1/availability",
        "roost/coop-1/nest/status",
    ]
    assert (found["availability_mode"], motion["availability_mode"]) == ("all", "all")


def test_installing_an_update_is_an_order_to_look_and_names_no_bundle() -> None:
    update = made()["components"]["henhouse_fast_update"]
    order = decode(update["payload_install"].encode())
    assert isinstance(order, OtaOrder)
    assert (order.do, update["command_topic"]) == ("check", "roost/coop-1/request/ota")


def test_what_was_announced_and_is_gone_is_announced_as_gone(tmp_path: Path) -> None:
    announced = Announced(tmp_path / "discovery.json")
    announced.encoded(INVENTORY, PLAIN)
    fewer = Inventory(NODE, ("nest",), removed=announced.before())
    found = json.loads(Announced(tmp_path / "discovery.json").encoded(fewer, PLAIN))
    assert found["components"]["yard_motion"] == {"platform": "binary_sensor"}
    assert found["components"]["henhouse_fast_update"] == {"platform": "update"}
    assert "yard_motion" not in platforms(found)
    back = json.loads(announced.encoded(Inventory(NODE, CAMERAS, removed=announced.before()), PLAIN))
    assert len(back["components"]["yard_motion"]) > 1


def test_a_list_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "discovery.json").write_text("[", encoding="utf-8")
    assert Announced(tmp_path / "discovery.json").before() == {}


@pytest.mark.parametrize(
    "settings",
    [{"prefix": ""}, {"prefix": "a/+"}, {"prefix": "$SYS"}, {"birth": "#"}, {"jitter_s": -1}, {"url": "coop"}],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        DiscoverySettings(**settings)
