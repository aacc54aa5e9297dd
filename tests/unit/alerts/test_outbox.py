import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from roost_broker.clock import SECOND
from roost_broker.errors import PeerError
from roost_edge.alerts.outbox import Changes, Letter, Outbox
from roost_edge.alerts.sightings import REMEMBERED, Sighting

BOOT, WALL = "b" * 32, 1_800_000_000 * SECOND

SIGHTING = Sighting(
    alert_id="1" * 32,
    task="henhouse",
    camera="nest",
    label="egg",
    score=0.75,
    requests=2,
    started_ms=1,
    last_ms=2,
    best_request_id="2" * 32,
    frame=None,
    last_ns=3,
    announced_ns=4,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alerts" / "henhouse.db"


@pytest.fixture
def outbox(path):
    box = Outbox(path, boot=BOOT, max_waiting=10)
    yield box
    box.close()


def letter(number, kind="new"):
    return Letter(kind, "roost/coop-1/nest/events", b"%d" % number)


def payloads(box, *, now=0, wall=WALL, after=0, limit=100):
    return [one.payload for one in box.waiting(after=after, limit=limit, monotonic_ns=now, wall_ns=wall)]


def test_letters_wait_in_order_until_they_are_taken(outbox):
    outbox.commit(Changes(letters=[letter(1), letter(2), letter(3)]), monotonic_ns=0, wall_ns=WALL)
    first, second, third = outbox.waiting(after=0, limit=9, monotonic_ns=2 * SECOND, wall_ns=WALL)
    assert [one.payload for one in (first, second, third)] == [b"1", b"2", b"3"]
    assert first.age_s == 2
    assert payloads(outbox, after=first.seq, limit=1) == [b"2"]
    outbox.taken([second.seq])
    assert payloads(outbox) == [b"1", b"3"]


def test_what_was_saved_is_there_for_the_next_process_and_forgotten_when_told(path, outbox):
    outbox.commit(Changes(save={SIGHTING.key: SIGHTING}, remember=["3" * 32, "4" * 32]), monotonic_ns=0, wall_ns=WALL)
    outbox.close()
    again = Outbox(path, boot=BOOT, max_waiting=10)
    kept = again.load()
    assert (kept.sightings, kept.remembered, kept.same_boot) == ((SIGHTING,), ("3" * 32, "4" * 32), True)
    again.commit(Changes(save={SIGHTING.key: None}), monotonic_ns=0, wall_ns=WALL)
    assert again.load().sightings == ()
    again.close()
    other_boot = Outbox(path, boot="c" * 32, max_waiting=10)
    assert not other_boot.load().same_boot
    other_boot.close()


def test_beyond_its_bound_updates_go_first_then_the_oldest(outbox):
    kinds = ["new", "update", "end", "update", *["new"] * 6]
    assert (
        outbox.commit(Changes(letters=[letter(n, kind) for n, kind in enumerate(kinds)]), monotonic_ns=0, wall_ns=WALL)
        == 0
    )
    assert outbox.commit(Changes(letters=[letter(10), letter(11), letter(12)]), monotonic_ns=0, wall_ns=WALL) == 3
    assert payloads(outbox) == [b"2", *[b"%d" % n for n in range(4, 13)]]
    assert len(outbox) == 10


def test_only_the_newest_request_ids_are_kept(outbox):
    outbox.commit(Changes(remember=[f"{n:032x}" for n in range(REMEMBERED + 5)]), monotonic_ns=0, wall_ns=WALL)
    remembered = outbox.load().remembered
    assert len(remembered) == REMEMBERED
    assert remembered[0] == f"{5:032x}"


def test_age_is_monotonic_within_a_boot_and_by_the_wall_across_boots_where_the_wall_is_credible(path, outbox):
    outbox.commit(Changes(letters=[letter(1)]), monotonic_ns=5 * SECOND, wall_ns=WALL)
    (same,) = outbox.waiting(after=0, limit=1, monotonic_ns=8 * SECOND, wall_ns=WALL + 86_400 * SECOND)
    assert same.age_s == 3
    later = Outbox(path, boot="c" * 32, max_waiting=10)
    (across,) = later.waiting(after=0, limit=1, monotonic_ns=0, wall_ns=WALL + 60 * SECOND)
    (unset,) = later.waiting(after=0, limit=1, monotonic_ns=0, wall_ns=100 * SECOND)
    assert (across.age_s, unset.age_s) == (60, 0)
    later.close()


def test_a_change_that_fails_half_way_leaves_nothing_behind(outbox):
    broken = Changes(letters=[letter(1), Letter("new", None, b"2")])
    with pytest.raises(sqlite3.IntegrityError):
        outbox.commit(broken, monotonic_ns=0, wall_ns=WALL)
    assert len(outbox) == 0


def test_a_file_that_is_no_database_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "henhouse.db"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(PeerError, match="cannot be used") as refused:
        Outbox(path, boot=BOOT, max_waiting=10)
    assert "Move the file away" in refused.value.remedy


CHILD = """
import sys
from pathlib import Path
from roost_edge.alerts.outbox import Changes, Letter, Outbox

box = Outbox(Path(sys.argv[1]), boot="b" * 32, max_waiting=1000000)
for number in range(1000000):
    letter = Letter("new", "t", b"%d" % number)
    box.commit(Changes(letters=[letter], remember=[f"{number:032x}"]), monotonic_ns=0, wall_ns=0)
    print(number, flush=True)
"""


def test_killed_with_9_everything_committed_is_there_and_letter_and_request_id_agree(path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(20):
        committed = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    committed = int((child.stdout.read().split() or [committed])[-1])
    child.stdout.close()
    child.wait()
    box = Outbox(path, boot=BOOT, max_waiting=1_000_000)
    found = payloads(box, limit=1_000_000)
    # The child may have been killed between its last commit and saying so.
    assert found in ([b"%d" % n for n in range(committed + 1)], [b"%d" % n for n in range(committed + 2)])
    assert box.load().remembered[-1] == f"{int(found[-1]):032x}"
    box.close()


def test_a_place_where_no_file_can_be_opened_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "alerts.db").mkdir()
    with pytest.raises(PeerError, match="cannot be used as the alerts' outbox") as refused:
        Outbox(tmp_path / "alerts.db", boot=BOOT, max_waiting=10)
    assert refused.value.remedy


def test_a_full_medium_is_reported_as_such(outbox):
    outbox._db.execute("PRAGMA max_page_count = 1")  # SQLite then says SQLITE_FULL, as on a full disk
    letters = [Letter("new", "roost/coop-1/nest/events", b"x" * 10_000)] * 10
    with pytest.raises(sqlite3.OperationalError, match="full"):
        outbox.commit(Changes(letters=letters), monotonic_ns=0, wall_ns=WALL)
    assert len(outbox) == 0
