"""A fleet of guests and its inventory, and playbooks run against it as an operator would.

The devices are light, because many of them share one machine: one model that is a rule in Python, one synthetic camera
with two frames a second. Everything else is as on a device.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from guests import USER, Guest, network

from roost_models.bundle.writing import new_bundle

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "provisioning" / "ansible"
ROOST = Path(sys.executable).with_name("roost")
TASK, CAMERA, MODEL = "henhouse", "nest", "plain"

_TIMEOUT_S = 1800
_SCHEDULE = f"""\
task = "{TASK}"
sla_ms = 5000
[[step]]
after_ms = 0
accept = ["{MODEL}"]
[default]
after_ms = 4500
label = "unknown"
"""


@dataclass(frozen=True)
class Ran:
    """One run of a playbook. `recap`: host → what ansible counted (ok, changed, unreachable, failed …)."""

    status: int
    said: str
    recap: Mapping[str, Mapping[str, int]]

    def changed(self) -> dict[str, int]:
        """How many changes each host had."""
        return {host: counts["changed"] for host, counts in self.recap.items()}

    def bad(self) -> set[str]:
        """Hosts that failed or did not answer."""
        return {host for host, counts in self.recap.items() if counts["failed"] or counts["unreachable"]}


class Inventory:
    """An inventory in a folder, of guests that need not be there; written anew with `write` when something changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {
            "tasks": {
                TASK: {
                    "schedule": "{{ edge_schedules_folder }}/" + f"{TASK}.toml",
                    "models": {MODEL: {"bundle": "{{ models_folder }}/" + MODEL}},
                }
            }
        }
        self.everyone: dict[str, object] = {
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(network().key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={network().known_hosts}",
            "edge_schedules": {TASK: str(folder / "schedule.toml")},
            "models_bundles": [{"name": MODEL, "source": str(folder / "bundle")}],
            "edge_settings": self.settings,
            "edge_cameras": {
                CAMERA: {"task": TASK, "source": "synthetic", "fps": 2.0, "capture": {"interval_ms": 1000}}
            },
        }
        self.groups: dict[str, dict[str, dict[str, object]]] = {"devices": {}}
        (folder / "schedule.toml").write_text(_SCHEDULE)
        new_bundle(folder / "bundle", name=MODEL, task=TASK)

    def add(self, group: str, guest: Guest, **values: object) -> None:
        """Put a guest into a group, with values of its own."""
        self.groups.setdefault(group, {})[guest.name] = {"ansible_host": guest.address, **values}

    def write(self) -> Path:
        """The file; JSON is YAML."""
        path = self.folder / "hosts.yml"
        groups = {name: {"hosts": hosts} for name, hosts in self.groups.items()}
        path.write_text(json.dumps({"all": {"vars": self.everyone, "children": groups}}, indent=1))
        return path

    def play(self, playbook: str, *options: str, **values: object) -> Ran:
        """Run a playbook; `values` are extra variables."""
        return play(self.write(), playbook, *options, **values)


def play(inventory: Path, playbook: str, *options: str, **values: object) -> Ran:
    """Run a playbook with an inventory's file; `values` are extra variables. Its words are in `run-N.log` beside it."""
    argv = [str(ROOT / "scripts" / "fleet"), playbook, "-i", str(inventory), "--forks=4", *options]
    argv += ["--extra-vars", json.dumps(values)] if values else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    folder = inventory.parent
    log = folder / f"run-{len(list(folder.glob('run-*.log')))}.log"
    with log.open("w") as words:
        done = subprocess.run(
            argv, stdout=words, stderr=subprocess.STDOUT, timeout=_TIMEOUT_S, check=False,
            env={**environment, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(folder / "ansible")},
        )  # fmt: skip
    said = log.read_text()
    return Ran(done.returncode, said, _recap(said))


class EnrolmentDesk:
    """A fleet's authority in a folder, and its desk where guests reach it."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority"
        control("pki", "init", "test-fleet", "--authority", str(self.authority), "--root-keys", str(folder / "root"))
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        here = network().address
        words = ["pki", "serve", "--authority", str(self.authority), "--listen", here, "--host", here, "--port", "0"]
        with (self._folder / "desk.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(ROOST), *words, "--per-minute", "10000"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, (self._folder / "desk.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=60)


def control(*words: str) -> str:
    """What `roost WORDS` says on this machine."""
    return subprocess.run([str(ROOST), *words], check=True, capture_output=True, text=True, timeout=120).stdout


def _recap(said: str) -> dict[str, dict[str, int]]:
    counted = said.partition("PLAY RECAP")[2]
    return {
        host: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in re.findall(r"^(\S+)\s+: (.*)$", counted, re.MULTILINE)
    }


def device_says(guest: Guest, *words: str) -> dict[str, object]:
    """What `roost WORDS --json` says on a device."""
    told = guest.run(["/usr/local/bin/roost", *words, "--json"], check=False).stdout
    answer: dict[str, object] = json.loads(told)
    return answer


def running_kit(guest: Guest) -> str:
    """The version that a device runs with; empty where there is none."""
    return guest.run(["readlink", "/opt/roost/venv"], check=False).stdout.strip().removeprefix("venvs/")
