"""The settings on a card, and what an emulator changes of them."""

import pytest

from roost_broker.errors import Malformed
from roost_edge.processes.plan import plan
from roost_provisioning.boot_test.device_settings import (
    DOCTOR_S,
    compacted,
    read,
    rendered,
    roles,
    waiting_for,
    with_operator,
    with_slow_desk,
)

CARD = """\
[node]
name = "coop"
[tasks.nest]
schedule = "schedules/nest.toml"
[tasks.nest.models.champion]
bundle = "/opt/roost/bundles/champion"
[tasks.nest.models.slow]
bundle = "/opt/roost/bundles/slow"
replicas = 2
[cameras.box]
task = "nest"
source = "picamera"   # the one on the ribbon
width = 640
[cameras.box.capture]
interval_ms = 1000
[cameras.yard]
task = "nest"
source = "synthetic"
"""


def test_a_real_camera_is_rendered_and_named_and_everything_else_stays_as_it_is() -> None:
    text, changed = rendered(CARD)
    assert changed == ("box",)
    assert text == CARD.replace('"picamera"', '"synthetic"')


def test_settings_with_rendered_cameras_only_are_not_touched() -> None:
    text = CARD.replace('"picamera"', '"synthetic"').rstrip("\n")
    assert rendered(text) == (text, ())


def test_a_camera_that_is_written_so_that_it_cannot_be_changed_is_refused_and_not_left() -> None:
    inline = CARD + '[cameras]\nback = { task = "nest", source = "opencv" }\n'
    with pytest.raises(Malformed, match="Cameras that an emulator has not: back"):
        rendered(inline)


def test_a_word_of_the_same_spelling_elsewhere_is_left_alone() -> None:
    text = CARD.replace('name = "coop"', 'name = "folder"')
    assert '"folder"' in rendered(text)[0]


def test_settings_that_cannot_be_read_are_refused() -> None:
    for text in ("[node", "[node]\nname = 3\n", "[nodes]\n"):
        with pytest.raises(Malformed, match=r"roost\.toml cannot be read"):
            read(text)


@pytest.mark.parametrize(
    ("section", "operators"),
    [
        ("", ("boot-test",)),
        ("[mosquitto.outside]\nport = 9000\n", ("boot-test",)),
        ('[mosquitto.outside]\noperators = [\n  "ada",\n  "bob",\n]\n', ("ada", "bob", "boot-test")),
        ('[mosquitto.outside]\noperators = ["boot-test"]\n', ("boot-test",)),
    ],
)
def test_the_operator_of_the_boot_test_is_let_in_beside_those_who_were(
    section: str, operators: tuple[str, ...]
) -> None:
    text = with_operator(CARD + section, "boot-test")
    assert read(text).mosquitto.outside.operators == operators
    assert read(text).tasks == read(CARD).tasks
    assert ("port = 9000" in text) == ("port" in section)


def test_operators_named_in_a_way_that_is_not_understood_are_refused_and_not_replaced() -> None:
    text = CARD.replace("[tasks.nest]", "[mosquitto]\noutside = { port = 9000 }\n[tasks.nest]")
    with pytest.raises(Malformed):
        with_operator(text, "boot-test")


def test_every_role_of_the_settings_is_awaited_and_a_model_once_however_many_its_replicas() -> None:
    settings = read(CARD)
    found = roles(settings)
    assert {"nest/champion", "nest/slow", "capture-box", "capture-yard", "rendezvous-nest", "decoy-nest"} <= found
    assert len(found) == len(plan(settings)) - 1


def test_a_role_counts_as_ready_only_in_a_session_that_is_newer_than_before() -> None:
    wanted = frozenset({"alerts", "monitor", "decoy-nest"})
    ready = {"alerts": 3, "monitor": 3}
    assert waiting_for(wanted, ready, {}) == ("decoy-nest",)
    assert waiting_for(wanted, ready, {"alerts": 3, "monitor": 2}) == ("alerts", "decoy-nest")


@pytest.mark.parametrize(
    "section",
    ["", "[desk]\n", "[ desk ]  # asked by the owner\nmax_waiting = 3\n", "[desk]\ndoctor_timeout_s = 60 # soon\n"],
)
def test_an_emulated_device_has_longer_to_examine_itself_and_keeps_the_rest(section: str) -> None:
    before = read(CARD + section)
    after = read(with_slow_desk(CARD + section))
    assert after.desk.doctor_timeout_s == DOCTOR_S
    assert (after.desk.max_waiting, after.cameras) == (before.desk.max_waiting, before.cameras)


def test_a_desk_that_is_patient_already_stays_as_it_is() -> None:
    text = f"{CARD}[desk]\ndoctor_timeout_s = {DOCTOR_S + 1}\n"
    assert with_slow_desk(text) == text


def test_a_desk_that_is_written_so_that_it_cannot_be_changed_is_refused() -> None:
    with pytest.raises(Malformed, match="desk in a way not understood"):
        with_slow_desk('desk = { "doctor_timeout_s" = 60 }\n' + CARD)


@pytest.mark.parametrize("node", ["[node]\n", "[ node ]  # the henhouse's\n", "[node]\ncompact = false # for now\n"])
def test_a_device_is_made_compact_and_keeps_the_rest(node: str) -> None:
    before = CARD.replace("[node]\n", node)
    after = read(compacted(before))
    assert after.node.compact
    assert (after.node.name, after.cameras) == ("coop", read(before).cameras)


def test_a_compact_device_stays_as_it_is_and_one_that_cannot_be_made_so_is_refused() -> None:
    text = compacted(CARD)
    assert compacted(text) == text
    with pytest.raises(Malformed, match="node in a way not understood"):
        compacted(CARD.replace('[node]\nname = "coop"\n', 'node = { name = "coop" }\n'))
