"""The page about external state says what is so."""

import json
import re
import tomllib
from pathlib import Path

import msgspec

from roost_broker.messages import decode
from roost_edge.settings.device import TaskSettings
from roost_rendezvous.injector.adding import add_state
from roost_rendezvous.injector.keeper import REMEMBERED, Given, StateKeeper
from roost_rendezvous.injector.settings import MAX_VALUES, StateValue

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "state.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_its_settings_are_settings_and_give_what_it_shows() -> None:
    table = tomllib.loads(block("toml"))["tasks"]["henhouse"]
    task = msgspec.convert({"schedule": "s.toml", **table}, TaskSettings)
    keeper = StateKeeper(task.state)
    keeper.put("door", b'{"contact": true, "battery": 81}', 0)
    keeper.put("cpu_c", b"48312\n", 0)
    keeper.put("uptime", b"up 3 days\n", 0)
    keeper.compute(1_718_884_800 * 1_000_000_000, 0, 0)
    shown = json.loads(block("json"))
    given = keeper.take("r", 0, 0)
    assert {name: msgspec.json.decode(value) for name, value in given.state.items()} == shown["state"]
    assert given.ages.keys() == shown["stateAgeMs"].keys()


def test_its_request_can_be_read() -> None:
    shown = json.loads(block("json"))
    given = Given({name: msgspec.Raw(json.dumps(value).encode()) for name, value in shown["state"].items()}, {}, 1)
    head = {"schema": "roost.request/1", "timestamp": 1, "messageId": "0" * 32, "requestId": "0" * 32}
    raw = json.dumps({**head, "returnAddress": "a/b", "deadlineMs": 1, "input": {"values": {}}}).encode()
    assert getattr(decode(add_state(raw, given, (), {"node": "n", "component": "c"})), "state", {}) == shown["state"]


def test_its_numbers_are_those_of_the_code() -> None:
    value = StateValue(topic="t")
    assert f"({value.max_bytes:,} unless set, 10,000 at most)" in PAGE
    assert f"the newest {REMEMBERED:,}" in PAGE
    assert f"Up to {MAX_VALUES} values" in PAGE


def test_it_names_every_source_and_every_computed_value() -> None:
    (computed,) = [field.type for field in msgspec.structs.fields(StateValue) if field.name == "computed"]
    for word in (*computed.__args__, "topic", "file", "command", "drop", "keep", "default"):
        assert word in PAGE
