"""docs/promises.md says which test shows what; here it is held to that."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "promises.md"
_NAMED = re.compile(r"`([^`\s]+\.py)::(\w+)`")
_DEPTH = re.compile(r"kept(: .+)?|kept in part: .+|later")
# What the first release names, one row each.
ASKED = {*(f"V{number}" for number in (*range(1, 9), 11, 13, 17)), "D1", "D3", "D5", *"1234567"}


def rows() -> dict[str, tuple[str, str]]:
    """Id → what shows it, and how far."""
    found: dict[str, tuple[str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("| id |", "|---")):
            name, _promise, shown, depth = (cell.strip() for cell in line.strip("|").split("|"))
            assert name not in found, f"{name} stands there twice"
            found[name] = shown, depth
    return found


ROWS = rows()
NAMED = sorted({named for shown, _ in ROWS.values() for named in _NAMED.findall(shown)})


@cache
def defined(path: Path) -> frozenset[str]:
    """Functions and classes at the top of a file; a state machine's test case is an assignment."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(names)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_page_names_exists(file: str, test: str) -> None:
    path = ROOT / "tests" / file
    assert path.is_file(), f"docs/promises.md names tests/{file}, which is not there"
    assert test in defined(path), f"docs/promises.md names {file}::{test}, which is not there"


def test_the_page_has_a_row_for_everything_that_was_asked_for() -> None:
    assert ROWS.keys() >= ASKED
    assert [name for name in ASKED if ROWS[name][1] == "later"] == []


@pytest.mark.parametrize("name", sorted(ROWS))
def test_what_is_kept_names_what_shows_it_and_what_is_not_claims_nothing(name: str) -> None:
    shown, depth = ROWS[name]
    assert _DEPTH.fullmatch(depth), "kept, kept in part: what is missing, or later"
    assert bool(_NAMED.search(shown)) == depth.startswith("kept")
    assert _NAMED.sub("", shown).strip() == "", "nothing but tests stands in the column"
