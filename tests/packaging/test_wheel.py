"""What is built is what was written: all six packages, typed, and none of the tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["roost_broker", "roost_rendezvous", "roost_models", "roost_henhouse", "roost_edge", "roost_provisioning"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--no-build-isolation", "--no-index", "-w", str(folder), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("roost-*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_the_whole_package(wheel: zipfile.ZipFile, package: str) -> None:
    (source,) = ROOT.glob(f"*/{package}") if package != "roost_henhouse" else ROOT.glob(f"models/henhouse/{package}")
    wanted = {
        f"{package}/{path.relative_to(source)}"
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= set(wheel.namelist())
    assert f"{package}/py.typed" in wanted


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_wheel_carries_the_units_of_a_device(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "systemd"
    wanted = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert "roost-model@.service" in wanted
    for name in wanted:
        assert wheel.read(f"roost_edge/units/data/{name}") == (folder / name).read_bytes()


def test_wheel_offers_the_one_command(wheel: zipfile.ZipFile) -> None:
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert wheel.read(entry).decode().split() == ["[console_scripts]", "roost", "=", "roost_provisioning.cli:main"]
