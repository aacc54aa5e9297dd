"""Wheels for the device: chosen for it, never by the machine that builds."""

from pathlib import Path

import pytest

from roost_broker.errors import Malformed
from roost_provisioning.image.build.wheels import pinned, pip_choice
from roost_provisioning.image.recipe import RELEASES

ROOT = Path(__file__).parents[3]
HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_the_lock_file_leaves_nothing_for_the_building_machine_to_decide(name: str) -> None:
    packages = pinned((ROOT / "provisioning" / "requirements" / f"{name}.txt").read_text())
    assert {"numpy", "msgspec", "paho-mqtt", "opencv-python-headless"} <= packages.keys()


def test_a_condition_in_the_lock_file_is_refused() -> None:
    with pytest.raises(Malformed, match="scripts/lock"):
        pinned(f'numpy==1.26.4 ; platform_machine == "x86_64" \\\n    {HASH}\n')


def test_a_line_without_a_hash_is_refused() -> None:
    with pytest.raises(Malformed, match="numpy"):
        pinned("numpy==1.26.4\n")


def test_a_release_takes_wheels_up_to_its_own_c_library() -> None:
    bookworm, trixie = pip_choice(RELEASES["bookworm"]), pip_choice(RELEASES["trixie"])
    assert "--platform=manylinux_2_34_aarch64" in bookworm  # tflite-runtime's only one
    assert "--platform=manylinux_2_39_aarch64" not in bookworm
    assert "--platform=manylinux_2_39_aarch64" in trixie


@pytest.mark.parametrize(("name", "tag"), [("bookworm", "cp311"), ("trixie", "cp313")])
def test_pip_is_told_the_devices_python_and_never_builds(name: str, tag: str) -> None:
    words = pip_choice(RELEASES[name])
    assert f"--abi={tag}" in words
    assert "--only-binary=:all:" in words
    assert not any("x86_64" in word for word in words)
