"""The folder listing is the architecture; nothing leaks into it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    "broker", "docs", "edge", "models", "provisioning", "rendezvous", "scripts", "systemd", "tests",
    "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".ci", ".gitignore",
}  # fmt: skip


def tracked() -> list[Path]:
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        pytest.skip("not a git checkout (an unpacked archive): nothing to list")
    return [Path(name) for name in answer.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_top_level_is_the_one_agreed() -> None:
    assert {path.parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_python_file_outgrew_its_one_job() -> None:
    long = {
        str(path): lines
        for path in tracked()
        if path.suffix == ".py" and (lines := len((ROOT / path).read_text().splitlines())) > 500
    }
    assert not long, f"split by job: {long}"


def test_every_package_says_that_it_is_typed() -> None:
    packages = {
        path.parent for path in tracked() if path.name == "__init__.py" and path.parent.name.startswith("roost_")
    }
    assert len(packages) == 6
    assert all((ROOT / package / "py.typed").exists() for package in packages)


def test_no_file_names_a_package_index_or_a_private_path() -> None:
    # The words are put together here so that this file does not find itself.
    forbidden = re.compile(
        "|".join([r"pypi\." + "org", r"files\.python" + "hosted", "/work" + "/(main|shared)", r"--index" + "-url http"])
    )
    guilty = [
        str(path)
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".txt", ".sh", ".json", ".yml", ""}
        and forbidden.search((ROOT / path).read_text(errors="replace"))
    ]
    assert not guilty


def test_file_names_differ_by_more_than_case() -> None:
    # A checkout on a case-insensitive file system would lose one of the two.
    names = [str(path).lower() for path in tracked()]
    assert len(names) == len(set(names))


def test_no_merge_was_left_half_done() -> None:
    marker = re.compile("^(" + "<" * 7 + " |" + ">" * 7 + " )", re.MULTILINE)
    text = (
        path for path in tracked() if path.suffix in {".py", ".md", ".toml", ".txt", ".sh", ".json", ".yml", ".css", ""}
    )
    assert [str(path) for path in text if marker.search((ROOT / path).read_text(errors="replace"))] == []
