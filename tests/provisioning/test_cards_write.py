"""`roost image write` on a loop device, which the kernel takes for a disk that cannot be taken out."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from card_commands import roost, told
from pi_card import MB, make_card, pi_os


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 MB with something else on it."""
    (tmp_path / "disk").write_bytes(b"\xff" * (200 * MB))
    device = subprocess.run(
        ["losetup", "--find", "--show", tmp_path / "disk"], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield Path(device)
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_disk_that_cannot_be_taken_out_is_left_alone_until_one_is_sure(tmp_path: Path, disk: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie"))
    refused = roost("image", "write", image, disk, status=1)
    assert "cannot be taken out" in str(refused.exception)
    assert (tmp_path / "disk").read_bytes() == b"\xff" * (200 * MB)
    roost("image", "write", image, disk, "--any-device")
    assert told("image", "inspect", disk)["report"]["system"]["release"] == "trixie"
    size = image.stat().st_size
    assert (tmp_path / "disk").read_bytes()[:size] == image.read_bytes()


def test_a_card_is_personalised_in_the_reader(tmp_path: Path, disk: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie"))
    roost("image", "personalise", image, "--name", "coop-7", "--overlay", "--output", tmp_path / "cards")
    roost("image", "write", image, disk, "--any-device")
    roost("image", "personalise", disk, "--in-place", "--card", tmp_path / "cards" / "coop-7")
    assert "meta-data" in told("image", "personalise", disk, "--in-place", "--name", "coop-8")["cards"][0]["files"]


def test_a_disk_that_is_mounted_is_refused_even_if_one_is_sure(tmp_path: Path, disk: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie"))
    subprocess.run(["mke2fs", "-q", "-F", disk], check=True)
    (tmp_path / "there").mkdir()
    subprocess.run(["mount", disk, tmp_path / "there"], check=True)
    try:
        refused = roost("image", "write", image, disk, "--any-device", status=1)
    finally:
        subprocess.run(["umount", tmp_path / "there"], check=True)
    assert "in use" in str(refused.exception)


def test_what_is_no_image_is_not_written(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "film.img").write_bytes(b"x" * MB)
    refused = roost("image", "write", tmp_path / "film.img", disk, "--any-device", status=1)
    assert "not a disk image" in str(refused.exception)
