"""Onto a disk: once, again, and after the settings have changed."""

from pathlib import Path

import pytest

from roost_edge.units.installing import Change, apply, differences
from roost_edge.units.planned import DROP_IN, SYSTEM, Planned

UNIT, INSTANCE = "roost-model@.service", "roost-model@nest-fast.service"
DROP = f"{SYSTEM}/{INSTANCE}.d/{DROP_IN}"
WANT = f"{SYSTEM}/roost-models.target.wants/{INSTANCE}"
PLAN = Planned(
    {f"{SYSTEM}/{UNIT}": "[Unit]\n", DROP: "[Service]\n", "etc/tmpfiles.d/roost.conf": "d /x\n"},
    frozenset({("roost-models.target", INSTANCE)}),
)
LESS = Planned({f"{SYSTEM}/{UNIT}": "[Unit]\n"})


def bring(plan: Planned, root: Path) -> tuple[Change, ...]:
    changes = differences(plan, root)
    apply(changes, root)
    return changes


def test_a_first_time_writes_and_links_everything_and_a_second_time_nothing(tmp_path: Path) -> None:
    assert {change.place for change in bring(PLAN, tmp_path)} == {*PLAN.files, WANT}
    assert (tmp_path / DROP).read_text() == "[Service]\n"
    assert str((tmp_path / WANT).readlink()) == f"/{SYSTEM}/{UNIT}"
    assert differences(PLAN, tmp_path) == ()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    assert differences(PLAN, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_units_can_be_read_by_everybody_whatever_the_umask(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    assert (tmp_path / DROP).stat().st_mode & 0o777 == 0o644


def test_a_role_that_is_gone_takes_its_drop_in_and_its_want_with_it(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    changes = bring(LESS, tmp_path)
    assert set(changes) == {Change("remove", DROP), Change("remove", WANT)}
    assert not (tmp_path / DROP).parent.exists()
    assert differences(LESS, tmp_path) == ()


def test_an_operators_own_drop_in_stays(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    mine = (tmp_path / DROP).with_name("10-mine.conf")
    mine.write_text("[Service]\nNice=5\n")
    bring(LESS, tmp_path)
    assert mine.is_file()


def test_what_enables_the_device_is_nobodys_to_remove(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    enabled = tmp_path / SYSTEM / "multi-user.target.wants" / "roost.target"
    enabled.parent.mkdir()
    enabled.symlink_to(f"/{SYSTEM}/roost.target")
    assert differences(PLAN, tmp_path) == ()


def test_units_of_an_older_release_go(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    old = tmp_path / SYSTEM / "roost-older.service"
    old.write_text("[Unit]\n")
    assert bring(PLAN, tmp_path) == (Change("remove", f"{SYSTEM}/roost-older.service"),)


@pytest.mark.parametrize("text", ["[Service]\nchanged by hand\n", b"\xff\xfe"])
def test_what_was_changed_by_hand_is_put_right(tmp_path: Path, text: str | bytes) -> None:
    bring(PLAN, tmp_path)
    (tmp_path / DROP).write_bytes(text.encode() if isinstance(text, str) else text)
    assert [change.place for change in bring(PLAN, tmp_path)] == [DROP]
    assert (tmp_path / DROP).read_text() == "[Service]\n"


def test_a_want_that_points_elsewhere_is_put_right(tmp_path: Path) -> None:
    bring(PLAN, tmp_path)
    (tmp_path / WANT).unlink()
    (tmp_path / WANT).symlink_to("/dev/null")
    bring(PLAN, tmp_path)
    assert str((tmp_path / WANT).readlink()) == f"/{SYSTEM}/{UNIT}"
