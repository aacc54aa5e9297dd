"""docs/alerts.md and docs/home-assistant.md: their settings load, their topics and entities are those of the code."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_broker.catalogue import entry_of
from roost_broker.mosquitto_device import DeviceBrokerSettings
from roost_broker.topics import NodeTopics
from roost_edge.alerts.settings import AlertSettings
from roost_edge.discovery.document import Inventory, document
from roost_edge.discovery.settings import DiscoverySettings
from roost_edge.notify.settings import NotifySettings

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("alerts.md", "home-assistant.md")}
SECTIONS: dict[str, Any] = {
    "alerts": AlertSettings,
    "notify": NotifySettings,
    "discovery": DiscoverySettings,
    "mosquitto": DeviceBrokerSettings,
}


def blocks(page: str) -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page)])
def test_every_setting_shown_is_one(text: str) -> None:
    for name, section in tomllib.loads(text).items():
        assert msgspec.convert(section, SECTIONS[name]) is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_topic_shown_exists(page: str) -> None:
    shown = set(re.findall(r"roost/coop-1/[a-z/-]+", PAGES[page]))
    assert shown or page == "home-assistant.md"
    for topic in shown:
        assert topic.endswith("/") or entry_of(topic) is not None, topic


def test_every_entity_of_a_camera_and_of_the_device_is_in_the_table() -> None:
    found = document(Inventory(NodeTopics("coop-1"), ("nest",)), DiscoverySettings())["components"]
    page = PAGES["home-assistant.md"].lower()
    for component in found.values():
        name = component["name"].lower().removeprefix("nest ")
        assert name in page, name
