"""A model that moves to another unit of systemd goes on counting its sessions."""

from pathlib import Path

from roost_broker.sessions import next_session
from roost_edge.processes.counters import carry_over
from roost_edge.settings.device import DataLayout

ROLE = "model-nest-champion"


def counted(folder: Path, unit: str, number: bytes) -> None:
    path = folder / "models" / unit / "sessions" / ROLE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(number)


def next_of(folder: Path) -> int:
    layout = DataLayout(folder)
    layout.session(ROLE).parent.mkdir(exist_ok=True)
    carry_over(layout, ROLE)
    return next_session(layout.session(ROLE))


def test_it_goes_on_from_the_highest_count_of_any_unit(tmp_path: Path) -> None:
    counted(tmp_path, "nest-champion", b"41\n")
    counted(tmp_path, "flock", b"7\n")
    assert next_of(tmp_path) == 42
    assert next_of(tmp_path) == 43


def test_a_count_of_its_own_that_is_higher_stays(tmp_path: Path) -> None:
    counted(tmp_path, "nest-champion", b"41\n")
    DataLayout(tmp_path).session(ROLE).parent.mkdir()
    DataLayout(tmp_path).session(ROLE).write_bytes(b"50\n")
    assert next_of(tmp_path) == 51


def test_where_there_are_no_such_folders_or_no_numbers_in_them_nothing_changes(tmp_path: Path) -> None:
    assert next_of(tmp_path) == 1
    counted(tmp_path, "flock", b"\x00\x00")
    assert next_of(tmp_path) == 2


def test_a_count_of_its_own_that_is_lost_is_not_replaced_by_a_lower_one(tmp_path: Path) -> None:
    counted(tmp_path, "flock", b"7\n")
    DataLayout(tmp_path).session(ROLE).parent.mkdir()
    DataLayout(tmp_path).session(ROLE).write_bytes(b"\x00\x00")
    assert next_of(tmp_path) > 1_000_000  # from the clock, which no count of starts reaches
