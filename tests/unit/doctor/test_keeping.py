"""The check `store`: what the watch over the store says, and whether that watch is awake."""

from pathlib import Path
from typing import Any

from patients import helps, patient

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import StoreAlarm, StoreKeeper, StoreState
from roost_edge.doctor.broker_look import Look
from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.keeping import store


def judged(tmp_path: Path, *alarms: StoreAlarm, later_s: int = 0, said: bool = True) -> Verdict:
    clock = VirtualClock()
    head: dict[str, Any] = new_header(clock, "coop-1", "desk")._asdict()
    keeper = StoreKeeper(held_bytes=5_000_000, budget_bytes=9_000_000, looked_at=clock.wall_ns() // MS)
    state = StoreState(**head, free_bytes=10**9, size_bytes=10**10, keepers={"decoy-nest": keeper}, alarms=list(alarms))
    clock.advance(later_s * SECOND)
    return store(patient(tmp_path, clock=clock, looked=Look(store=state if said else None)))


def test_house_keeping_that_runs_is_well(tmp_path: Path) -> None:
    assert helps(judged(tmp_path), "ok", "decoy-nest 5 of 9 MB", "")


def test_house_keeping_that_has_not_run_is_a_failure(tmp_path: Path) -> None:
    alarm = StoreAlarm(
        kind="not-run", who="decoy-nest", detail="The house-keeping of decoy-nest has not run for 300 s."
    )
    assert helps(judged(tmp_path, alarm), "fail", "has not run for 300 s", "start that role again")


def test_a_card_that_is_short_of_room_is_a_warning(tmp_path: Path) -> None:
    alarm = StoreAlarm(kind="short", detail="20 MB are free, and 200 MB should be.")
    assert helps(judged(tmp_path, alarm), "warn", "20 MB are free", "du -x -d2")


def test_a_watch_that_sleeps_or_was_never_there_is_a_failure(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, later_s=3_600), "fail", "Nobody has watched the store for 3600 s", "role desk")
    assert helps(judged(tmp_path, said=False), "fail", "Nobody has said how the store stands", "desk")
