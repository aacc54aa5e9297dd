"""Every command there is, looked at as its user meets it (promise P13). A new one is in here from its first day."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from typer.main import get_command

from roost_provisioning.cli import app, main

Path_ = tuple[str, ...]
LONGEST_SENTENCE = 60
NOT_JSON = {
    ("run",): "becomes the daemon, which logs one JSON object a line",
    ("demo",): "becomes the demo, whose own options have --json",
    ("up",): "runs until Ctrl-C; what its roles say is JSON lines in their logs",
    ("firstboot",): "runs once, as a service; it says to the journal what it did",
    ("registry", "serve"): "serves until Ctrl-C and answers over HTTP",
    ("pki", "serve"): "serves until Ctrl-C and answers over HTTPS",
    ("config", "schema"): "prints JSON anyway",
    ("label", "export"): "prints JSON lines anyway",
}
PASSED_ON = {("run",), ("demo",)}
"""They hand all words to another program, which has a parser of its own."""


def walk(command: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every command and every group. (Typer brings a click of its own, so nobody's classes are asked for.)"""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


ROOT = get_command(app)
GROUPS = {path: one for path, one in walk(ROOT) if hasattr(one, "commands")}
COMMANDS = {path: one for path, one in walk(ROOT) if path not in GROUPS}
OWN = {path: command for path, command in COMMANDS.items() if path not in PASSED_ON}


def named(path: Path_) -> str:
    return " ".join(path) or "roost"


def roost(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run a command in this process; returns its exit status."""
    monkeypatch.setattr("sys.argv", ["roost", *words])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0) if isinstance(end.code, int | None) else 1


def test_the_walk_finds_the_commands() -> None:
    assert {("config", "check"), ("doctor",), ("rollout", "start"), ("pki", "issue")} <= set(COMMANDS)
    assert set(NOT_JSON) <= set(COMMANDS)


def test_the_page_about_commands_names_those_without_json_and_no_other() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    [told] = [part for part in page.split("\n\n") if "have no `--json`" in part]
    without = told.split("`demo --json`")[0]  # the demo's own parser has it
    number = ("Six", "Seven", "Eight", "Nine").index(without.split()[0]) + 6
    names = {tuple(name.split()) for name in re.findall(r"`([a-z ]+)`", without)}
    assert names == set(NOT_JSON) - {("demo",)}
    assert len(names) == number


@pytest.mark.parametrize("path", COMMANDS, ids=named)
def test_the_first_sentence_says_in_a_line_what_the_command_does(path: Path_) -> None:
    first = re.split(r"(?<=[.])\s", (COMMANDS[path].help or "").strip())[0]
    assert first, f"roost {named(path)} says nothing of itself"
    assert first.endswith(".")
    assert first[0].isupper()
    assert len(first) <= LONGEST_SENTENCE, first


@pytest.mark.parametrize("path", OWN, ids=named)
def test_help_explains_every_option_and_argument_and_the_exit_status(path: Path_) -> None:
    command = OWN[path]
    silent = [one.name for one in command.params if one.name != "help" and not getattr(one, "help", None)]
    assert not silent, f"roost {named(path)} does not explain {silent}"
    whole = " ".join(command.get_help(command.make_context(named(path), [], resilient_parsing=True)).split())
    assert "Exit status: 0 done" in whole


@pytest.mark.parametrize("path", COMMANDS, ids=named)
def test_a_program_can_read_what_it_says(path: Path_) -> None:
    options = {word for parameter in COMMANDS[path].params for word in parameter.opts}
    assert ("--json" in options) != (path in NOT_JSON)


@pytest.mark.parametrize("path", GROUPS, ids=named)
def test_a_group_without_a_word_prints_its_help(
    path: Path_, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if GROUPS[path].invoke_without_command and path:
        return  # it does something itself
    assert roost(monkeypatch, *path) in (0, 2)
    said = capsys.readouterr()
    assert "Commands:" in said.out + said.err


@pytest.mark.parametrize("path", OWN, ids=named)
def test_a_misspelt_option_ends_with_where_to_look(
    path: Path_, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roost(monkeypatch, *path, "--no-such-option") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"roost {named(path)} -h' for help." in said.err  # before it stands how Roost was called
    assert "No such option" in said.err


def word_for(parameter: Any) -> str:
    """Something that can be parsed, and names nothing that exists."""
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    return "1" if kind in (int, float) else "missing"


BY_SETTINGS = [
    path
    for path, command in OWN.items()
    if any("--settings" in parameter.opts for parameter in command.params)
    or any(parameter.envvar == "ROOST_SETTINGS" for parameter in command.params)
]


@pytest.mark.parametrize("path", BY_SETTINGS, ids=named)
def test_without_settings_the_error_ends_with_what_to_do_next(
    path: Path_, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOST_SETTINGS", str(tmp_path / "missing.toml"))
    required = [one for one in OWN[path].params if one.required]
    words = [word_for(one) for one in required if one.param_type_name == "argument"]
    for one in required:
        if one.param_type_name == "option":
            words += [one.opts[0], word_for(one)]
    if any("--settings" in one.opts for one in OWN[path].params):
        words += ["--settings", str(tmp_path / "missing.toml")]
    status = roost(monkeypatch, *path, *words)
    said = capsys.readouterr()
    assert status in (1, 2), said
    last = (said.err or said.out).strip().splitlines()[-1]
    assert "→" in last or " -h' for help." in said.err or said.out, said
    assert "Traceback" not in said.err
    assert "a defect" not in said.err


def test_no_command_waits_for_an_answer_when_nobody_is_there_to_give_one() -> None:
    """A prompt in a script hangs for ever: what asks has an option that answers."""
    asking = [
        (named(path), one.name)
        for path, command in COMMANDS.items()
        for one in command.params
        if getattr(one, "prompt", None)
    ]
    assert asking == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roost(monkeypatch, "complete", shell) == 0
    script = capsys.readouterr().out
    assert "_ROOST_COMPLETE" in script
    assert "roost" in script


def test_a_shell_that_asks_is_told_the_commands() -> None:
    asked = {"_ROOST_COMPLETE": "complete_bash", "COMP_WORDS": "roost co", "COMP_CWORD": "1"}
    program = "import sys; from roost_edge.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("import sys;", "import sys; sys.argv = ['roost'];")],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert {"complete", "config"} <= set(done.stdout.split())


LONG = [("evaluate",), ("compare",), ("replay",), ("train",), ("tune",), ("centre", "replay"), ("label", "import")]
"""Work whose end is known in advance, and minutes away."""


@pytest.mark.parametrize("path", LONG, ids=named)
def test_long_work_says_how_far_it_is_by_the_means_that_all_share(path: Path_) -> None:
    module = inspect.getmodule(inspect.unwrap(COMMANDS[path].callback))
    assert module is not None
    assert "reporting(" in inspect.getsource(module)
