import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from patients import helps, patient

from roost_edge.doctor.storage import space, storage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 KB with 40 inodes, mounted; its device's data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k,nr_inodes=40", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"No file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_a_healthy_folder_keeps_what_is_written_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    device = patient(tmp_path)
    verdict = storage(device)
    assert helps(verdict, "ok", f"{tmp_path / 'data'} kept 64 KB within ", "")
    assert float(verdict.facts["fsyncMs"] or 0) > 0
    assert list((tmp_path / "data").iterdir()) == []


def test_a_missing_folder_is_to_be_made(tmp_path: Path) -> None:
    device = patient(tmp_path)
    (tmp_path / "data").rmdir()
    assert helps(storage(device), "fail", "There is no folder", "node.data")
    assert helps(space(device), "skipped", "There is no folder", "storage")


def test_a_full_disk_asks_for_room(tmp_path: Path, small_disk: Path) -> None:
    device = patient(tmp_path)
    (small_disk / "ballast").write_bytes(bytes(190_000))
    assert helps(storage(device), "fail", f"The disk of {small_disk} is full.", "Make room")
    assert [file.name for file in small_disk.iterdir()] == ["ballast"]
    assert helps(space(device), "fail", "Only 0 MB are free", "archive.budget_mb")


def test_a_disk_without_inodes_and_smaller_than_the_budgets_is_told(tmp_path: Path, small_disk: Path) -> None:
    verdict = space(patient(tmp_path))
    assert helps(verdict, "fail", "more files only", "inodes")
    assert verdict.facts["budgetMb"] == 1000


def test_a_disk_that_the_kernel_made_read_only_is_a_card_to_replace(tmp_path: Path, small_disk: Path) -> None:
    device = patient(tmp_path)
    remount(small_disk, "ro")
    assert helps(storage(device), "fail", "can only be read", "journalctl -k")


def test_a_folder_of_somebody_else_is_given_to_the_roles(tmp_path: Path) -> None:
    device = patient(tmp_path)
    folder = tmp_path / "data"
    if os.getuid():
        folder.chmod(0o500)
        assert helps(storage(device), "fail", f"User {os.getuid()} may not write", "chown -R roost:")
        folder.chmod(0o700)
        return
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", folder], check=False).returncode:
        pytest.skip("Nothing is forbidden to root on this file system.")
    try:
        assert helps(storage(device), "fail", "User 0 may not write", "chown -R roost:")
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)
