"""Roles by name, and whether each is to run."""

from pathlib import Path

import msgspec
import pytest

from roost_broker.errors import Misuse
from roost_edge.ota.lines import Line
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.standing import Content, Standing, first
from roost_edge.processes.named import every, named, standing_of
from roost_edge.processes.slots import remember
from roost_edge.settings.device import Settings

CONTENT = Content(name="bird", version="1", digest="0" * 64, delivered=True)


@pytest.fixture
def device(tmp_path: Path) -> Settings:
    document = {
        "node": {"name": "pi1", "data": str(tmp_path)},
        "tasks": {"nest": {"schedule": "/s", "models": {"champion": {"bundle": "/b", "ota": "bird"}}}},
        "cameras": {"door": {"task": "nest"}},
        "ota": {"registry": "/r", "root": "/r.json"},
    }
    return msgspec.convert(document, Settings)


def runs(device: Settings, name: str, *, standby: bool = False) -> bool:
    return standing_of(device, named(device, name), standby=standby) is not None


def test_every_name_is_one_role_and_strangers_are_refused(device: Settings) -> None:
    names = [role.name for role in every(device)]
    assert len(names) == len(set(names))
    assert all(named(device, name).name == name for name in names)
    assert {"rendezvous-nest-b", "injector-nest-b", "model-nest-champion-b"} <= set(names)
    with pytest.raises(Misuse, match="no role 'rendezvous'"):
        named(device, "rendezvous")


def test_of_two_slots_the_one_in_charge_runs_and_after_a_hand_over_the_other(device: Settings) -> None:
    assert (runs(device, "rendezvous-nest"), runs(device, "rendezvous-nest-b")) == (True, False)
    remember(device.layout, named(device, "rendezvous-nest"), "rendezvous-nest-b")
    assert (runs(device, "rendezvous-nest"), runs(device, "rendezvous-nest-b")) == (False, True)


def test_a_successor_stands_by_while_a_hand_over_wants_it(device: Settings) -> None:
    assert standing_of(device, named(device, "injector-nest-b"), standby=True) == (
        named(device, "injector-nest-b"),
        "standby",
    )


def test_a_models_slot_runs_while_something_in_it_is_to_run(device: Settings) -> None:
    line, folder = Line("nest", "champion", "bird"), OtaFolder(device.layout.ota)
    assert (runs(device, "model-nest-champion"), runs(device, "model-nest-champion-b")) == (True, False)
    folder.write_standing(line, first(CONTENT).with_other(CONTENT, "shadow"))
    assert (runs(device, "model-nest-champion"), runs(device, "model-nest-champion-b")) == (True, True)
    folder.write_standing(line, Standing(slots={"a": CONTENT, "b": CONTENT}, active="b", beside="rejected"))
    assert (runs(device, "model-nest-champion"), runs(device, "model-nest-champion-b")) == (False, True)


def test_a_role_without_slots_always_runs(device: Settings) -> None:
    assert runs(device, "capture-door")
    assert runs(device, "monitor")
