from pathlib import Path

import pytest
from patients import PI, helps, patient

from roost_edge.doctor.services import span_s, units, watchdog
from roost_edge.units.installing import apply, differences
from roost_edge.units.planned import SYSTEM, planned
from roost_edge.units.shipped import shipped

SYSTEMD = {"/run/systemd/system/here": ""}
DOG = "/sys/class/watchdog/watchdog0"


def systemctl(*, failed: str = "", restarts: str = "", runtime: str = "0") -> dict[str, str]:
    """systemd's answers to the three questions."""
    state = "degraded" if failed else "running"
    return {
        "systemctl": f"""case "$*" in
is-system-running) echo {state}; exit 1;;
list-units*) printf '%b' '{failed}';;
*RuntimeWatchdogUSec*) echo {runtime};;
*NRestarts*) printf '%b' '{restarts}';;
esac"""
    }


def test_without_systemd_there_are_no_units(tmp_path: Path) -> None:
    assert units(patient(tmp_path)).status == "skipped"


def test_when_all_units_run_all_is_well(tmp_path: Path) -> None:
    restarts = "Id=roost-alerts.service\\nNRestarts=1\\n\\nId=roost-monitor.service\\nNRestarts=0\\n"
    device = patient(tmp_path, files=SYSTEMD, programs=systemctl(restarts=restarts))
    assert helps(units(device), "ok", "systemd is running, and no unit has failed", "")


def test_a_failed_role_is_a_failure_and_its_journal_the_next_step(tmp_path: Path) -> None:
    failed = "roost-model@nest-a.service loaded failed failed Model\\nsnapd.service loaded failed failed Snap\\n"
    device = patient(tmp_path, files=SYSTEMD, programs=systemctl(failed=failed))
    assert helps(units(device), "fail", "roost-model@nest-a.service", "journalctl -u roost-model@nest-a.service")
    device = patient(tmp_path, files=SYSTEMD, programs=systemctl(failed="snapd.service loaded failed failed Snap\\n"))
    assert helps(units(device), "warn", "snapd.service", "systemctl status snapd.service")


def test_a_role_that_is_started_again_and_again_is_told(tmp_path: Path) -> None:
    restarts = "Id=roost-capture@yard.service\\nNRestarts=17\\n"
    device = patient(tmp_path, files=SYSTEMD, programs=systemctl(restarts=restarts))
    found = "roost-capture@yard.service (17 times)"
    assert helps(units(device), "warn", found, "journalctl -u roost-capture@yard.service")


def test_units_of_another_version_or_other_settings_are_to_be_brought_up_to_date(tmp_path: Path) -> None:
    device = patient(tmp_path, files=SYSTEMD, programs=systemctl(), data="/var/lib/roost")
    plan, root = planned(device.settings, shipped()), tmp_path / "root"
    apply(differences(plan, root), root)
    assert units(device).status == "ok"
    (root / SYSTEM / "roost-desk.service").write_text("[Service]\nExecStart=/bin/false\n", encoding="utf-8")
    verdict = units(device)
    assert helps(verdict, "warn", "roost-desk.service and 0 more", "roost units apply")
    assert verdict.facts["differences"] == 1


def test_a_systemctl_that_is_missing_is_not_taken_for_a_healthy_one(tmp_path: Path) -> None:
    assert helps(units(patient(tmp_path, files=SYSTEMD)), "skipped", "does not answer", "journalctl")


@pytest.mark.parametrize(("runtime", "state", "status", "found"), [
    ("15s", "active", "ok", "armed with 15 s"),
    ("0", "inactive", "warn", "not armed"),
    ("1min", "inactive", "fail", "it is off"),
])  # fmt: skip
def test_a_watchdog_is_armed_within_what_the_pi_can_count(
    tmp_path: Path, runtime: str, state: str, status: str, found: str
) -> None:
    files = {**PI, **SYSTEMD, f"{DOG}/identity": "Broadcom BCM2835 Watchdog timer\n", f"{DOG}/state": f"{state}\n"}
    device = patient(tmp_path, files=files, programs=systemctl(runtime=runtime))
    assert helps(watchdog(device), status, found, "" if status == "ok" else "RuntimeWatchdogSec=15s")


def test_a_pi_without_its_watchdog_is_to_get_it_and_another_machine_need_not(tmp_path: Path) -> None:
    assert helps(watchdog(patient(tmp_path, files=PI)), "fail", "is not there", "dtparam=watchdog=on")
    (tmp_path / "root/proc/device-tree/model").unlink()
    assert watchdog(patient(tmp_path)).status == "skipped"


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("1min 30s", 90), ("500ms", 0.5), ("0", 0), ("infinity", 0), ("", 0)]
)
def test_spans_are_read_as_systemd_prints_them(text: str, seconds: float) -> None:
    assert span_s(text) == seconds
