"""Pinned packages: every one by hash, and the pairs that were measured to work together."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "provisioning" / "requirements"
FILES = sorted(FOLDER.glob("*.txt"))


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\;]+)", path.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_pinned_package_has_a_hash(path: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", path.read_text().strip())
    assert entries
    assert all("==" in entry.splitlines()[0] and "--hash=sha256:" in entry for entry in entries)


def test_bookworm_has_the_trio_that_builds_an_interpreter() -> None:
    found = pins(FOLDER / "bookworm.txt")
    assert found["tflite-runtime"] == "2.14.0"
    assert found["numpy"].startswith("1.")  # numpy 2 imports, and then every Interpreter dies
    assert tuple(map(int, found["opencv-python-headless"].split(".")[:2])) < (4, 12)


def test_trixie_has_the_successor() -> None:
    found = pins(FOLDER / "trixie.txt")
    assert "ai-edge-litert" in found
    assert "tflite-runtime" not in found
    assert found["numpy"].startswith("2.")


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_tests_run_with_the_packages_that_ship(release: str) -> None:
    shipped, tested = pins(FOLDER / f"{release}.txt"), pins(FOLDER / f"{release}-dev.txt")
    assert shipped.items() <= tested.items()
