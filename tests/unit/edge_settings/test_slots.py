"""Which of a role's two slots is in charge, and where a role that was asked for runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.processes import slots
from roost_edge.processes.plan import RoleProcess, plan
from roost_edge.processes.succession import Successors
from roost_edge.settings import loading
from roost_edge.settings.device import DataLayout

FIRST = RoleProcess("rendezvous", "nest")
SECOND = replace(FIRST, slot="b")


@pytest.fixture
def layout(tmp_path: Path) -> DataLayout:
    return DataLayout(tmp_path)


def test_the_slot_is_part_of_the_name() -> None:
    assert (FIRST.name, SECOND.name) == ("rendezvous-nest", "rendezvous-nest-b")
    assert slots.other(SECOND) == FIRST


def test_before_any_hand_over_the_first_slot_is_in_charge(layout: DataLayout) -> None:
    assert slots.in_charge(layout, SECOND) == FIRST


def test_what_was_remembered_is_in_charge_whichever_slot_asks(layout: DataLayout) -> None:
    slots.remember(layout, FIRST, SECOND.name)
    assert slots.in_charge(layout, FIRST) == slots.in_charge(layout, SECOND) == SECOND
    slots.remember(layout, SECOND, FIRST.name)
    assert slots.in_charge(layout, SECOND) == FIRST


def test_a_name_that_is_not_the_roles_own_is_not_remembered(layout: DataLayout) -> None:
    slots.remember(layout, FIRST, "../../etc/passwd")
    assert not any(layout.data.iterdir())


def test_a_card_that_cannot_be_written_costs_a_line_of_the_log_and_no_answer(
    layout: DataLayout, caplog: pytest.LogCaptureFixture
) -> None:
    layout.slot(FIRST.name).parent.write_bytes(b"in the way")
    slots.remember(layout, FIRST, SECOND.name)
    assert "could not be remembered" in caplog.text


def test_two_processes_that_remember_in_the_same_moment_do_not_disturb_each_other(layout: DataLayout) -> None:
    folder = layout.slot(FIRST.name).parent
    slots.remember(layout, FIRST, SECOND.name)
    (folder / f".{FIRST.name}.1").write_text("half of what another process is writing")
    slots.remember(layout, SECOND, SECOND.name)
    assert slots.in_charge(layout, FIRST) == SECOND


def test_a_file_that_says_nothing_usable_counts_as_none(layout: DataLayout) -> None:
    slots.remember(layout, FIRST, SECOND.name)
    layout.slot(FIRST.name).write_bytes(b"\xff\x00")
    assert slots.in_charge(layout, FIRST) == FIRST


def test_whoever_is_started_without_words_is_the_one_in_charge(layout: DataLayout) -> None:
    slots.remember(layout, FIRST, SECOND.name)
    assert slots.placed(layout, FIRST, None, standby=False) == (SECOND, "alone")


def test_the_other_slot_starts_in_standby_alone(layout: DataLayout) -> None:
    assert slots.placed(layout, FIRST, None, standby=True) == (SECOND, "standby")
    assert slots.placed(layout, FIRST, "b", standby=True) == (SECOND, "standby")
    with pytest.raises(Misuse, match="would answer everything twice"):
        slots.placed(layout, FIRST, "b", standby=False)


def test_a_successor_that_took_over_and_is_started_with_the_same_words_resumes(layout: DataLayout) -> None:
    slots.remember(layout, FIRST, SECOND.name)
    assert slots.placed(layout, FIRST, "b", standby=True) == (SECOND, "resumes")
    with pytest.raises(Misuse, match="rendezvous-nest-b is in charge"):
        slots.placed(layout, FIRST, "", standby=False)


def test_a_role_without_slots_has_none(layout: DataLayout) -> None:
    decoy = RoleProcess("decoy", "nest")
    assert slots.placed(layout, decoy, None, standby=False) == (decoy, "alone")
    with pytest.raises(Misuse, match="has no slots"):
        slots.placed(layout, decoy, None, standby=True)


def test_a_task_whose_name_would_be_another_ones_second_slot_is_refused(tmp_path: Path) -> None:
    for task in ("nest", "nest-b"):
        (tmp_path / f"{task}.toml").write_text(
            f'task = "{task}"\nsla_ms = 100\n[[step]]\nafter_ms = 0\naccept = ["*"]\n'
            '[default]\nafter_ms = 90\nlabel = "unknown"\n'
        )
    path = tmp_path / "roost.toml"
    path.write_text(
        '[node]\nname = "n"\n[tasks.nest]\nschedule = "nest.toml"\n[tasks.nest-b]\nschedule = "nest-b.toml"\n'
    )
    with pytest.raises(Misuse, match="'rendezvous-nest-b'"):
        plan(loading.load(path))


def test_a_supervisor_starts_only_the_other_slot_of_a_running_role(layout: DataLayout) -> None:
    successors = Successors(layout)
    running = (FIRST, RoleProcess("decoy", "nest"))
    assert successors.successor("rendezvous-nest-b", running, "") == SECOND
    for name in ("rendezvous-nest", "decoy-nest", "decoy-nest-b", "rendezvous-door-b"):
        with pytest.raises(Misuse):
            successors.successor(name, running, "")
    with pytest.raises(Misuse, match="There is no Python"):
        successors.successor("rendezvous-nest-b", running, "/nowhere/python")


def test_who_is_in_charge_or_standing_by_belongs_and_who_has_handed_over_does_not(layout: DataLayout) -> None:
    successors = Successors(layout)
    assert successors.belongs(FIRST)
    assert not successors.belongs(SECOND)
    successors.successor(SECOND.name, (FIRST,), "")
    assert successors.belongs(SECOND)
    slots.remember(layout, FIRST, SECOND.name)
    assert not successors.belongs(FIRST)
    with pytest.raises(Misuse, match="is in charge"):
        successors.check_removable(SECOND)


def test_the_python_of_a_slot_is_remembered_until_the_next_successor_there(layout: DataLayout, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    Successors(layout).successor(SECOND.name, (FIRST,), str(python))
    assert Successors(layout).python(SECOND) == str(python)
    assert Successors(layout).python(FIRST) == ""
    Successors(layout).successor(SECOND.name, (FIRST,), "")
    assert Successors(layout).python(SECOND) == ""
