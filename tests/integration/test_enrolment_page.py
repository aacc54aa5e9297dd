"""docs/pki.md, as its reader would walk through it, and the commands' own words and statuses."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from enrolment_world import desk

from roost_provisioning.cli import main

pytestmark = pytest.mark.processes
PAGE = Path(__file__).parents[2] / "docs" / "pki.md"
Roost = Callable[..., tuple[int, str, str]]


def lines() -> Iterator[str]:
    console = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        console = line == "```console" or (console and line != "```")
        if console and line.startswith("$ "):
            yield line


@pytest.fixture
def roost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Roost:
    """The console script in this process: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["roost", *words])
        try:
            status = main()
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_the_page_can_be_walked_through(tmp_path: Path, roost: Roost) -> None:
    found = [shlex.split(line.removeprefix("$ roost ")) for line in lines()]
    begin = next(number for number, words in enumerate(found) if words[:2] == ["pki", "seed"])
    assert len(found) > 10
    said = {}

    def walk(steps: list[list[str]], port: int) -> None:
        for words in steps:
            status, out, err = roost(*(word.replace(":8443", f":{port}") for word in words))
            assert status == 0, f"{words}\n{out}{err}"
            said[" ".join(words[:2])] = out

    walk(found[:begin], 0)
    with desk(tmp_path / "authority") as port:
        walk(found[begin:], port)
        status = json.loads(roost("pki", "status", "--json")[1])
        _, changed, _ = roost("enrol", "renew", "--identity", "identity", "--new-key")
    names = [member["identity"] for member in status["members"]]
    assert any(name.startswith("device:coop-") for name in names)
    assert "operator:anna" not in names
    assert list(status["issuers"]) == ["1", "2"]
    assert status["signing"] == 1
    assert changed.split()[:2] == ["certificate", "key"]
    assert 'token = "' not in (tmp_path / "card" / "seed.toml").read_text()
    assert "operator:anna" in said["pki revoke"]


def test_statuses_and_words_of_the_commands(tmp_path: Path, roost: Roost) -> None:
    assert roost("pki", "init", "coops", "--root-keys", "stick")[0] == 0
    for status, words, says in (
        (2, ("pki", "init", "coops", "--root-keys", "stick"), "already"),
        (2, ("pki", "status", "--authority", "nowhere"), "roost pki init"),
        (2, ("pki", "token", "--valid", "soon"), "7d"),
        (2, ("pki", "issue", "king", "anna", "--out", "x"), "operator, watcher"),
        (2, ("pki", "issue", "operator", "a/b", "--out", "x"), "letters"),
        (2, ("pki", "revoke", "device:nobody"), "roost pki status"),
        (2, ("pki", "rotate", "--force"), "--retire"),
        (2, ("pki", "seed", "card", "--desk", "http://centre"), "https://"),
        (2, ("enrol", "--identity", "identity", "--seed", "nowhere"), "--seed"),
        (2, ("enrol", "renew", "--identity", "identity"), "roost enrol"),
        (1, ("enrol", "status", "--identity", "identity"), "roost enrol"),
    ):
        found, _, complaint = roost(*words)
        assert (found, says in complaint) == (status, True), f"{words}\n{complaint}"
        assert "Traceback" not in complaint
    token = json.loads(roost("pki", "token", "--json")[1])
    assert token["token"].startswith(f"{token['id']}-")
    assert roost("pki", "token", "--out", "secret")[1].strip() == "secret"
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    assert roost("pki", "issue", "operator", "anna", "--out", "anna")[0] == 0
    again, _, complaint = roost("pki", "issue", "operator", "anna", "--out", "anna")
    assert (again, "already" in complaint) == (2, True)


def test_a_device_without_a_desk_gives_up_when_it_was_told_to(roost: Roost) -> None:
    assert roost("pki", "init", "coops", "--root-keys", "stick")[0] == 0
    assert roost("pki", "seed", "card", "--desk", "https://127.0.0.1:9", "--name", "a")[0] == 0
    status, _, complaint = roost("enrol", "--seed", "card", "--identity", "identity", "--wait", "2.5")
    assert status == 1
    assert "Trying again" in complaint
    assert "127.0.0.1:9" in complaint
