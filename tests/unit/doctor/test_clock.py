import os
from pathlib import Path

import pytest
from patients import helps, patient

from roost_broker.clock import SECOND, VirtualClock
from roost_edge.doctor.clock import clock, judge, newest_of

NOW = 1_800_000_000 * SECOND
HOUR = 3600 * SECOND


@pytest.mark.parametrize(("now", "newest", "synchronised", "error_us", "status", "found"), [
    (NOW, NOW - HOUR, True, 20_000, "ok", "kept right by a time server"),
    (NOW, NOW - HOUR, None, None, "ok", "2027-01-15"),
    (0, 0, None, None, "fail", "has not been set since power-on"),
    (NOW, NOW + 5 * HOUR, True, 0, "fail", "is from 5.0 hours later"),
    (NOW, NOW + 200 * SECOND, True, 0, "ok", "2027"),
    (NOW, 0, False, None, "warn", "No time server"),
    (NOW, 0, True, 16_000_000, "warn", "wrong by 16.0 s"),
])  # fmt: skip
def test_a_clock_is_held_against_what_is_known(
    now: int, newest: int, synchronised: bool | None, error_us: int | None, status: str, found: str
) -> None:
    verdict = judge(now, newest, "alerts.db", synchronised=synchronised, error_us=error_us)
    assert helps(verdict, status, found, "" if status == "ok" else "time")


def test_a_pi_that_woke_up_in_1970_is_told_to_look_for_a_time_server(tmp_path: Path) -> None:
    device = patient(tmp_path, clock=VirtualClock(wall_ns=60 * SECOND))
    assert helps(clock(device), "fail", "The clock says 1970-01-01 00:01:00 UTC", "timedatectl set-ntp true")


def test_the_newest_file_of_the_device_is_found(tmp_path: Path) -> None:
    device = patient(tmp_path, clock=VirtualClock(wall_ns=NOW))
    database = tmp_path / "data" / "alerts.db"
    database.touch()
    os.utime(database, ns=(NOW + HOUR, NOW + HOUR))
    assert newest_of(device) == (NOW + HOUR, str(database))
    assert helps(clock(device), "fail", "alerts.db is from 1.0 hours later", "date -s")
