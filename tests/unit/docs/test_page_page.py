"""What docs/page.md shows: settings that are accepted, commands that exist, pictures of every page."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from roost_edge.cli.app import app
from roost_edge.page.settings import PageSettings
from roost_edge.page.views.frame import PLACES

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "page.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_settings_shown_are_accepted(block: str) -> None:
    section = tomllib.loads(block)["page"]
    assert msgspec.convert(section, PageSettings).secure == ("tls_key" in section)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"roost page (\w+)", TEXT))))
def test_the_commands_shown_exist(command: str) -> None:
    assert CliRunner().invoke(app, ["page", command, "--help"]).exit_code == 0


def test_each_page_is_described_and_shown() -> None:
    shown = re.findall(r"\(images/(page-\w+\.png)\)", TEXT)
    assert {path.name for path in (DOCS / "images").glob("page-*.png")} == set(shown)
    assert len(shown) == len(set(shown)) == 10
    for _, name in PLACES:
        assert f"**{name}**" in TEXT
