"""`site.yml` and `verify.yml` against eight booted devices: one has a full disk, one cannot be reached."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fleet import ROOT, TASK, EnrolmentDesk, Inventory, Ran, device_says, running_kit
from guests import Guest

WELL = tuple(f"pi{number}" for number in range(1, 7))
FULL, AWAY = "pi7", "pi8"


class Fleet:
    """Eight guests after a first run of site.yml, which `first` is."""

    def __init__(self, folder: Path, guests: dict[str, Guest], inventory: Inventory) -> None:
        self.folder = folder
        self.guests = guests
        self.inventory = inventory
        self.first = self.site(fleet_batches=[2, "100%"], fleet_max_fail_percentage=25)

    @property
    def settings(self) -> dict[str, object]:
        """What the inventory says of all devices' settings."""
        found: dict[str, object] = dict(self.inventory.settings)
        return found

    def site(self, *options: str, **values: object) -> Ran:
        return self.inventory.play("site.yml", *options, **values)

    def kits(self, *names: str) -> set[str]:
        return {running_kit(self.guests[name]) for name in names}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    inventory = Inventory(folder)
    with ExitStack() as stack:
        desk = stack.enter_context(EnrolmentDesk(folder))
        guests = {name: stack.enter_context(Guest(name)) for name in (*WELL, FULL, AWAY)}
        for guest in guests.values():
            inventory.add("devices", guest)
        inventory.everyone |= {
            "edge_desk": desk.url,
            "edge_authority": str(desk.authority),
            "base_wheel": str(wheel(folder / "first")),
        }
        guests[FULL].run(["mkdir", "-p", "/opt/roost"])
        guests[FULL].run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", "/opt/roost"])
        guests[AWAY].link(up=False)
        yield Fleet(folder, guests, inventory)


def wheel(folder: Path, *, version: str = "", spoilt: str = "") -> Path:
    """Roost's wheel from this checkout; as another version, or with a module that cannot be imported."""
    source = folder / "source"
    left_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, source, ignore=left_out)
    if version:
        project = source / "pyproject.toml"
        project.write_text(re.sub(r'(?m)^version = ".*"', f'version = "{version}"', project.read_text()))
    if spoilt:
        (source / spoilt).write_text("raise SystemExit('spoilt on purpose')\n")
    command = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, f"--wheel-dir={folder}", str(source)], check=True, timeout=300)
    return next(folder.glob("*.whl"))


def well(guest: Guest) -> bool:
    """Whether the device finds itself well."""
    return bool(device_says(guest, "doctor", "--settings", "/etc/roost/roost.toml")["ok"])


def a_model_answers(guest: Guest) -> bool:
    """Whether a model decides one of the next official results, as the device's own operator hears them."""
    password = guest.read("/etc/roost/broker/passwords/operator").strip()
    words = ["sh", "-c", _UNTIL_ANSWERED, "hear", password, f"roost/{guest.name}/{TASK}/results/+"]
    return guest.run(words, check=False, timeout_s=150).returncode == 0


_UNTIL_ANSWERED = """\
mosquitto_sub -p 1884 -u operator -P "$1" -t "$2" -W 120 | grep -m 1 -E '"cause": ?"(preferred|fallback)"'
"""


def test_a_device_that_fails_and_one_that_is_away_are_named_and_the_others_become_well(fleet: Fleet) -> None:
    ran = fleet.first
    assert ran.bad() == {FULL, AWAY}, ran.said
    assert ran.recap[AWAY]["unreachable"]
    assert ran.status != 0
    assert "No space left on device" in ran.said
    for name in WELL:
        assert well(fleet.guests[name])
        assert fleet.guests[name].state() == "running"


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    again = fleet.site("--limit", ",".join(WELL), fleet_batches=["100%"])
    assert again.status == 0, again.said
    assert again.changed() == dict.fromkeys(WELL, 0), again.said


def test_check_mode_says_what_would_change_and_changes_nothing(fleet: Fleet) -> None:
    before = fleet.guests["pi1"].read("/etc/roost/roost.toml")
    settings = {**fleet.settings, "archive": {"budget_mb": 1234}}
    ran = fleet.site("--check", "--diff", "--limit", "pi1", edge_settings=settings)
    assert ran.status == 0, ran.said
    assert ran.changed()["pi1"] > 0
    assert "+budget_mb = 1234" in ran.said
    assert fleet.guests["pi1"].read("/etc/roost/roost.toml") == before


def test_verify_names_the_one_that_differs_and_leaves_it_as_it_is(fleet: Fleet) -> None:
    guest = fleet.guests["pi2"]
    before = guest.read("/etc/roost/roost.toml")
    guest.put("/etc/roost/roost.toml", before + "# somebody was here\n")
    ran = fleet.inventory.play("verify.yml", "--limit", "pi1,pi2")
    differs = guest.read("/etc/roost/roost.toml")
    guest.put("/etc/roost/roost.toml", before)
    assert ran.bad() == {"pi2"}, ran.said
    assert "the settings are not those of the inventory" in ran.said
    assert differs.endswith("# somebody was here\n")


def test_settings_that_are_wrong_are_found_before_the_device_is_touched(fleet: Fleet) -> None:
    before = fleet.guests["pi3"].read("/etc/roost/roost.toml")
    ran = fleet.site("--limit", "pi3", edge_host_settings={"node": {"log_level": "loud"}})
    assert ran.bad() == {"pi3"}
    assert "log_level" in ran.said
    assert "Devices, batch by batch" not in ran.said
    assert fleet.guests["pi3"].read("/etc/roost/roost.toml") == before
    assert well(fleet.guests["pi3"])


def test_a_bad_version_gets_no_further_than_the_first_batch_which_goes_back(fleet: Fleet, tmp_path: Path) -> None:
    some = WELL[:3]
    before = fleet.kits(*some)
    bad = wheel(tmp_path, version="0.1.1", spoilt="edge/roost_edge/daemon.py")
    ran = fleet.site(
        "--limit", ",".join(some), base_wheel=str(bad), fleet_batches=[1, "100%"], fleet_max_fail_percentage=0,
        edge_health_tries=2, edge_health_pause_s=1,
    )  # fmt: skip
    assert ran.bad() == {"pi1"}, ran.said
    assert ran.status != 0
    assert fleet.kits(*some) == before
    assert fleet.guests["pi2"].run(["sh", "-c", "ls -d /opt/roost/venvs/0.1.1-*"], check=False).stdout == ""
    assert well(fleet.guests["pi1"])
    assert a_model_answers(fleet.guests["pi1"])


def test_a_new_version_comes_to_all_but_the_one_that_is_lost_in_the_middle(fleet: Fleet, tmp_path: Path) -> None:
    some = ("pi2", "pi3", "pi4")
    lost = fleet.guests["pi4"]
    before = fleet.kits(*some)
    fleet.inventory.everyone["base_wheel"] = str(wheel(tmp_path, version="0.1.2"))

    def pull() -> None:
        lost.run(["timeout", "800", "sh", "-c", _UNTIL_KIT], timeout_s=900)
        lost.link(up=False)

    pulled = threading.Thread(target=pull)
    pulled.start()
    ran = fleet.site("--limit", ",".join(some), fleet_batches=[1, "100%"])
    pulled.join()
    lost.link(up=True)
    assert ran.bad() == {"pi4"}, ran.said
    assert ran.recap["pi4"]["unreachable"]
    assert {kit.partition("-")[0] for kit in fleet.kits("pi2", "pi3")} == {"0.1.2"}
    assert fleet.kits("pi4") == before
    assert well(fleet.guests["pi2"])
    assert well(lost)  # with the version before
    assert a_model_answers(fleet.guests["pi3"])
    later = fleet.site("--limit", "pi4")
    assert later.status == 0, later.said
    assert fleet.kits("pi4") == fleet.kits("pi2")
    assert well(lost)


# The folder of the kit is there while the new version is being installed.
_UNTIL_KIT = "until ls -d /opt/roost/venvs/0.1.2-*.kit >/dev/null 2>&1; do sleep 0.1; done"
