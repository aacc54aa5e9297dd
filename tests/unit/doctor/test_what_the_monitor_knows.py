"""The check `analytics`: whether the monitor learns, and what it finds strange."""

from pathlib import Path
from typing import Any

from patients import helps, patient

from roost_broker.clock import MS, VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import Alarms, OpenAlarm, RoleState
from roost_edge.doctor.broker_look import Look
from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.watching import analytics

DAY_MS = 86_400_000


def judged(tmp_path: Path, *alarms: OpenAlarm, said: bool = True, why_not: str = "", behind: int = 0) -> Verdict:
    clock = VirtualClock()
    head: dict[str, Any] = new_header(clock, "coop-1", "monitor")._asdict()
    since = clock.wall_ns() // MS - 9 * DAY_MS
    whole = Alarms(**head, signals=60, able=50, watched_since=since, why_not=why_not)
    mine = Alarms(**head, task="nest", open=list(alarms), signals=60, able=50, watched_since=since)
    state = RoleState(**head, role="monitor", state="ready", session=2, version="1", counts={"watch-behind": behind})
    looked = Look(alarms={"": whole, "nest": mine} if said else {}, roles={"monitor": state})
    return analytics(patient(tmp_path, clock=clock, looked=looked))


def alarm(state: str) -> OpenAlarm:
    words: Any = {"state": state, "verdict": "camera", "sentence": "the picture is darker than it ever was"}
    return OpenAlarm(alarm_id="1", opened_at=1, updated_at=1, **words)


def test_a_monitor_that_knows_what_is_normal_is_well_and_tells_how_much_it_knows(tmp_path: Path) -> None:
    assert helps(judged(tmp_path), "ok", "50 of 60 signals are known well enough after 9.0 days", "")


def test_too_little_history_is_said_and_is_no_fault(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, why_not="not watched long enough: 3 of 48 hours"), "ok", "3 of 48 hours", "")


def test_a_monitor_that_was_started_again_says_how_much_it_has_still_to_handle(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, behind=1_234), "ok", "catching up: 1,234 observations", "")
    assert "catching up" not in judged(tmp_path).found


def test_an_open_alarm_is_a_warning_and_one_that_somebody_knows_of_is_not(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, alarm("open")), "warn", "camera: the picture is darker", "roost alarms")
    assert helps(judged(tmp_path, alarm("acknowledged")), "ok", "50 of 60", "")


def test_a_monitor_that_says_nothing_is_a_warning(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, said=False), "warn", "Nobody has said what is normal here", "roles")
