import sqlite3
from pathlib import Path

import pytest
from feed_world import draft, number, seen, settings, store

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.errors import PeerError
from roost_edge.feed.rows import Changes
from roost_edge.feed.sightings import REMEMBERED, Sighting
from roost_edge.feed.telling import told

HOUR = 3_600 * SECOND


def test_what_was_committed_is_there_for_the_next_process(tmp_path: Path) -> None:
    clock = VirtualClock()
    sighting = Sighting(number(1), "door", "nest", "blue jay", 5, 9, best=seen(1))
    first = store(tmp_path, clock)
    first.commit(Changes([draft(1)], {sighting.key: sighting}, [number(1)], [("door", "blue jay")]), max_waiting=10)
    first.close()
    again = store(tmp_path, clock)
    kept = again.load()
    assert (kept.sightings, kept.remembered, kept.same_boot) == ((sighting,), (number(1),), True)
    assert kept.heard == {("door", "blue jay")}
    assert [row.request_id for row in again.waiting()] == [number(1)]
    again.close()
    other = store(tmp_path, clock, boot="c" * 32)
    assert not other.load().same_boot
    other.close()


def test_a_result_that_comes_twice_is_one_post_and_memory_is_bounded(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1), draft(1)]), max_waiting=10)
    kept.commit(Changes([draft(1)], remember=[number(n) for n in range(REMEMBERED + 50)]), max_waiting=10)
    assert len(kept) == 1
    assert kept.load().remembered[0] == number(50)
    kept.close()


def test_a_full_queue_loses_answers_first_and_then_the_oldest(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1), draft(2), draft(3, sighting=1, ordinal=1)]), max_waiting=3)
    assert kept.commit(Changes([draft(4)]), max_waiting=3) == 1
    assert [row.request_id for row in kept.waiting()] == [number(1), number(2), number(4)]
    assert kept.commit(Changes([draft(5)]), max_waiting=3) == 1
    assert [row.request_id for row in kept.waiting()] == [number(2), number(4), number(5)]
    assert {row.reason for row in kept.newest(9) if row.state == "dropped"} == {"the queue was full"}
    kept.close()


def test_an_attempt_that_was_cut_off_has_cost_its_price_and_is_unsure(tmp_path: Path) -> None:
    clock = VirtualClock()
    kept = store(tmp_path, clock)
    kept.commit(Changes([draft(1)]), max_waiting=3)
    kept.attempt(1, paid=True)
    kept.close()  # and the process was killed
    again = store(tmp_path, clock)
    assert again.spent() == [clock.wall_ns() // MS]
    assert [(row.unsure, row.attempts, row.state) for row in again.waiting()] == [(True, 1, "waiting")]
    again.close()


def test_a_certain_refusal_gives_its_price_back_and_an_uncertain_end_does_not(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1)]), max_waiting=3)
    kept.put_off(1, kept.attempt(1, paid=True), "503", unsure=False)
    assert (kept.spent(), kept.waiting()[0].unsure) == ([], False)
    kept.put_off(1, kept.attempt(1, paid=True), "cut off", unsure=True)
    assert (len(kept.spent()), kept.waiting()[0].unsure) == (1, True)
    # A later, certain failure does not make the earlier attempt certain.
    kept.put_off(1, kept.attempt(1, paid=True), "503", unsure=False)
    assert (len(kept.spent()), kept.waiting()[0].unsure) == (1, True)
    kept.close()


def test_what_was_posted_is_stamped_by_the_services_clock(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1)]), max_waiting=3)
    kept.posted(1, kept.attempt(1, paid=True), mode="service", service_id="77", said_ms=123)
    assert kept.spent() == [123]
    assert kept.by_service_id("77") is not None
    assert len(kept) == 0
    kept.close()


def test_a_pause_outlives_a_restart_and_no_jump_of_the_clock_prolongs_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    kept = store(tmp_path, clock)
    kept.pause(HOUR, "rate-limit: 429", 2)
    clock.advance(HOUR // 4)
    assert kept.paused() == (HOUR * 3 // 4, "rate-limit: 429", 2)
    clock.step_wall(-1_000 * HOUR)
    assert kept.paused()[0] == HOUR * 3 // 4  # of the same boot: by the clock that does not jump
    kept.close()
    rebooted = store(tmp_path, clock, boot="c" * 32)
    assert rebooted.paused()[0] == HOUR  # the wall clock says 1000 hours; never more than was asked for
    clock.step_wall(1_001 * HOUR)
    assert rebooted.paused()[0] == 0
    rebooted.no_pause()
    assert rebooted.paused() == (0, "", 0)
    rebooted.close()


def test_a_posts_age_is_known_over_a_restart_and_with_a_clock_not_set_it_is_as_old_as_the_boot(tmp_path: Path) -> None:
    clock = VirtualClock()
    kept = store(tmp_path, clock)
    kept.commit(Changes([draft(1)]), max_waiting=3)
    kept.close()
    later = VirtualClock(wall_ns=clock.wall_ns() + 2 * HOUR, monotonic_ns=60 * SECOND)
    rebooted = store(tmp_path, later, boot="c" * 32)
    assert rebooted.waiting()[0].age_s == 7_200
    later.step_wall(-later.wall_ns())
    assert rebooted.waiting()[0].age_s == 60
    rebooted.close()


def test_old_posts_are_forgotten_with_their_pictures_but_not_those_that_wait(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(n) for n in range(1, 8)]), max_waiting=10)
    for seq in (2, 3, 4, 5, 6, 7):
        kept.posted(seq, kept.attempt(seq, paid=False), mode="dry-run", service_id="", said_ms=None)
    kept.forget_old(3)
    assert [row.seq for row in kept.newest(99)] == [7, 6, 5, 1]
    assert (kept.picture(2), len(kept.picture(7)) > 100) == (b"", True)
    kept.close()


def test_an_answer_finds_the_first_post_of_its_thread(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1), draft(2, sighting=1, ordinal=1), draft(3)]), max_waiting=10)
    assert kept.root(kept.waiting()[1]) == ""
    kept.posted(1, 0, mode="service", service_id="900", said_ms=None)
    assert [kept.root(row) for row in kept.waiting()] == ["900", ""]
    kept.close()


def test_whoever_only_looks_changes_nothing(tmp_path: Path) -> None:
    clock = VirtualClock()
    assert told(tmp_path / "feed.db", settings(), clock).left_today == 16
    assert not (tmp_path / "feed.db").exists()
    kept = store(tmp_path, clock)
    kept.commit(Changes([draft(1)]), max_waiting=10)
    kept.attempt(1, paid=True)
    stands = told(tmp_path / "feed.db", settings(per_day=1), clock)
    assert (len(stands.waiting), stands.left_today, stands.next_ms > 0) == (1, 0, True)
    kept.close()


def test_a_file_that_is_no_database_is_said_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "feed.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(PeerError, match="Move the file away"):
        store(tmp_path, VirtualClock())


def test_the_database_of_a_device_is_synced_and_whole(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    assert kept.db.execute("PRAGMA synchronous").fetchone()[0] == 2
    kept.close()
    db = sqlite3.connect(tmp_path / "feed.db")
    assert db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    db.close()
