"""What the page about roll-outs shows is what the code does."""

import re
import shlex
import tomllib
from pathlib import Path

import msgspec
from typer.testing import CliRunner

from roost_edge.cli.app import app
from roost_models.rollout.lifecycle import TRANSITIONS
from roost_models.rollout.policy import GATES, Policy

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "rollout.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return PAGE.split(f"```{language}\n")[1].split("```")[0]


def test_the_plan_of_the_page_is_the_one_that_the_command_prints() -> None:
    first, _, shown = block("console").partition("\n")
    done = CliRunner().invoke(app, shlex.split(first.removeprefix("$ roost ")))
    assert done.exit_code == 0
    assert done.stdout.strip() == shown.strip()


def test_the_policy_of_the_page_is_the_shipped_one_and_names_all_of_it() -> None:
    shown = tomllib.loads(block("toml"))
    assert msgspec.convert(shown, Policy, strict=False) == Policy()
    assert set(shown) == set(Policy.__struct_fields__)


def test_the_gates_of_the_page_are_those_that_are_judged() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == GATES


def test_the_commands_of_the_page_exist() -> None:
    for line in PAGE.splitlines():
        if line.startswith("roost "):
            words = [*shlex.split(line, comments=True)[1:3], "--help"]
            assert CliRunner().invoke(app, words).exit_code == 0, line


def test_every_move_of_the_table_stands_on_the_page() -> None:
    rows = " ".join(line for line in PAGE.splitlines() if " → " in line)
    for before, after in ((before, after) for before, legal in TRANSITIONS.items() for after in legal if before):
        assert re.search(rf"{before}( or [\w-]+)? → {after}|{before} or [\w-]+ → {after}|or {before} → {after}", rows)
