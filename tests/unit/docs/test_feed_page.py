"""What docs/feed.md shows is so: settings load, commands are there, the preview is word for word."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from roost_edge.cli.app import app
from roost_edge.feed.settings import FIELDS, FeedSettings
from roost_edge.feed.wording import words

PAGE = (Path(__file__).parents[3] / "docs" / "feed.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = sorted(
    {line for kind, text in BLOCKS if kind == "console" for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE)}
)


def test_every_settings_block_is_a_feed() -> None:
    found = [tomllib.loads(text)["feed"] for kind, text in BLOCKS if kind == "toml"]
    found += [tomllib.loads(part)["feed"] for part in re.findall(r"(?m)^\[feed\]\n(?:\w+ = .*\n)+", PAGE)]
    assert len(found) >= 2
    for section in found:
        msgspec.convert(section, FeedSettings)


def test_every_setting_that_is_named_exists_with_the_fields_of_the_text() -> None:
    known = set(FeedSettings.__struct_fields__)
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    assert named <= known, named - known
    for field in FIELDS:
        assert f"`{{{field}}}`" in PAGE


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_there_with_its_options(line: str) -> None:
    program, *rest = shlex.split(line, comments=True)
    assert program == "roost"
    command: Any = get_command(app)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known


def test_the_preview_is_word_for_word() -> None:
    (block,) = [text for kind, text in BLOCKS if kind == "console" and "preview" in text]
    command, *shown = block.strip().splitlines()
    best = [(name, float(score)) for name, score in re.findall(r'"([a-z_]+)=([0-9.]+)"', command)]
    said = words(FeedSettings().text, best, camera="nest", task="t", node="n", at_ms=50_580_000, zone=None)
    assert said.text.splitlines()[:-1] == shown[:-1]
    assert re.fullmatch(r"nest, \d\d:\d\d", shown[-1])
    assert re.fullmatch(r"nest, \d\d:\d\d", said.text.splitlines()[-1])
