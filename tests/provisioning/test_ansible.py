"""The playbooks as text: what linters say, what the example comes to, and whether the page tells the truth."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from fleet import PLAYBOOKS, ROOT

BIN = ROOT / ".venv-fleet" / "bin"
PAGE = ROOT / "docs" / "fleet.md"


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    subprocess.run([ROOT / "scripts" / "fleet", "--version"], check=True, capture_output=True, timeout=1800)


def said(*argv: str) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv, cwd=PLAYBOOKS, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_ansible_lint_is_satisfied_at_its_production_profile() -> None:
    assert "profile: production" in (PLAYBOOKS / ".ansible-lint").read_text()
    said("ansible-lint", "--offline", "--nocolor")


def test_yamllint_is_satisfied() -> None:
    said("yamllint", "--strict", ".")


@pytest.mark.parametrize("playbook", ["site.yml", "verify.yml"])
def test_playbooks_can_be_read_with_the_example_inventory(playbook: str) -> None:
    said("ansible-playbook", "--syntax-check", "-i", "example/hosts.yml", playbook)


def test_the_example_gives_each_device_its_own_cameras_and_what_its_group_has() -> None:
    hosts = {
        name: json.loads(said("ansible-inventory", "-i", "example/hosts.yml", "--host", name))
        for name in ("coop-1", "coop-2")
    }
    assert set(hosts["coop-1"]["edge_cameras"]) == {"nest", "door"}
    assert hosts["coop-2"]["edge_cameras"]["nest"]["source"] == "synthetic"
    metered = json.loads(said("ansible-inventory", "-i", "example/hosts.yml", "--host", "meadow-1"))
    assert metered["gateway_options"] == {"metered": True}


def test_every_knob_that_the_page_names_is_one() -> None:
    known = "".join(path.read_text() for path in [PLAYBOOKS / "site.yml", *PLAYBOOKS.glob("roles/*/defaults/main.yml")])
    named = set(re.findall(r"\b(?:base|edge|broker|models|gateway|centre|fleet)_[a-z_]+\b", PAGE.read_text()))
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", known)} == set()


def test_every_tag_that_the_pages_name_is_one() -> None:
    there = set(re.findall(r"[a-z]+", " ".join(re.findall(r"TASK TAGS: \[(.*)\]", said(
        "ansible-playbook", "-i", "example/hosts.yml", "--list-tags", "site.yml")))))  # fmt: skip
    readme = (PLAYBOOKS / "README.md").read_text().partition("Tags: ")[2]
    assert set(re.findall(r"`([a-z]+)`", readme)) == there - {"always"}
    used = {tag for words in re.findall(r"--tags (\S+?)[`\s]", PAGE.read_text()) for tag in words.split(",")}
    assert used
    assert used <= there


def test_secrets_are_never_logged_and_no_device_is_told_where_an_index_is() -> None:
    text = {path: path.read_text() for path in PLAYBOOKS.rglob("*") if path.suffix in (".yml", ".j2")}
    for path, content in text.items():
        assert not re.search(r"https?://(?!192\.0\.2\.)", content), path
    enrol = text[PLAYBOOKS / "roles/edge/tasks/enrol.yml"]
    assert enrol.count("no_log: true") == 2  # where the token is made, and where it is written


@pytest.mark.parametrize("page", [PAGE, PLAYBOOKS / "README.md"], ids=lambda page: page.name)
def test_no_page_names_a_file_that_is_not_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
