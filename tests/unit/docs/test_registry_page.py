"""The registry's page: its commands are run in order, in a folder of their own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "registry.md"


def test_the_commands_of_the_registry_page_work_in_order(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = [
        line.removeprefix("$ ")
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("ROOST_CENTRE", None)
    for command in commands:
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert len(commands) >= 13
    assert (tmp_path / "usb" / "metadata" / "timestamp.json").exists()


def test_the_page_names_every_role_with_its_days() -> None:
    from roost_models.registry.settings import Validity

    text = PAGE.read_text(encoding="utf-8")
    validity = Validity()
    for role in ("root", "targets", "task-NAME", "rollouts", "snapshot", "timestamp"):
        row = re.search(rf"^\| `{role}` \|.*\| (\d+) days", text, re.MULTILINE)
        assert row is not None, role
        assert int(row[1]) == validity.days(role), role
