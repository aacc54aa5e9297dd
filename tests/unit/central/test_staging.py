import sqlite3
from pathlib import Path

import pytest
from central_world import T0, World, archived

from roost_broker.errors import Misuse, PeerError
from roost_models.central import staging as module
from roost_models.central.partitions import Partition
from roost_models.central.staging import DATABASE, ArchiveFull, Refusal, Staging


def everything(root: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(root / DATABASE) as db:
        found = db.execute("SELECT lane, seq FROM messages ORDER BY lane, seq").fetchall()
    db.close()
    return found


def test_what_was_put_is_there_for_whoever_opens_it_next(tmp_path: Path) -> None:
    world = World()
    one = world.say("roost/coop-1/henhouse/input", b"\x00\xff bytes as they are")
    archived(tmp_path, one)
    again = Staging(tmp_path)
    (found,) = again.rows(Partition("2026-11-20", "henhouse", "inputs"), 10, 10**6)
    again.close()
    assert (found, found.stored_ms, found.payload) == (one, T0, b"\x00\xff bytes as they are")


def test_what_comes_twice_is_there_once(tmp_path: Path) -> None:
    world = World()
    first, second = world.asked(1), world.asked(2)
    staging = Staging(tmp_path)
    assert staging.put([first, first, second]) == 2
    assert staging.put([second]) == 0
    staging.close()
    assert everything(tmp_path) == [("inputs", 1), ("inputs", 2)]
    assert staging.counts["duplicate"] == 2


def test_what_is_in_a_file_already_is_recognised_for_ever(tmp_path: Path) -> None:
    world = World()
    messages = [world.asked(number) for number in range(5)]
    archived(tmp_path, *messages, close=True)
    again = Staging(tmp_path)
    assert again.put(messages) == 0
    again.close()
    assert everything(tmp_path) == []


def test_numbers_are_told_apart_by_outbox_and_lane(tmp_path: Path) -> None:
    world = World()
    archived(
        tmp_path,
        world.asked(1),
        world.scored(1),
        world.asked(1, node="coop-2"),
        world.say("roost/coop-1/henhouse/input", seq=1, outbox="e" * 32),
    )
    assert len(everything(tmp_path)) == 4


def test_what_concerns_the_device_is_no_tasks(tmp_path: Path) -> None:
    world = World()
    staging = Staging(tmp_path)
    staging.put([world.say("roost/coop-1/availability"), world.say("roost/coop-1/nest/events"), world.asked(1)])
    tasks = {partition.lane: partition.task for partition, _ in staging.waiting()}
    staging.close()
    assert tasks == {"devices": "_device", "alerts": "nest", "inputs": "henhouse"}


def test_a_full_disk_is_told_and_nothing_of_the_batch_is_kept(tmp_path: Path) -> None:
    world = World()
    staging = Staging(tmp_path)
    staging.put([world.asked(1)])
    staging.limit_pages(30)
    big = [world.say("roost/coop-1/henhouse/input", b"x" * 90_000) for _ in range(5)]
    with pytest.raises(ArchiveFull, match="takes no more"):
        staging.put(big)
    assert everything(tmp_path) == [("inputs", 1)]
    staging.limit_pages(10_000)  # room was made
    assert staging.put(big) == 5
    staging.close()


def test_what_no_gateway_sent_is_kept_aside_with_the_reason_and_bounded(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.put([], [Refusal("INPUTS", number, "no headers", T0, {"a": "b"}, b"?") for number in range(1100)])
    staging.put([], [Refusal("INPUTS", 1099, "no headers", T0, {}, b"?")])
    staging.close()
    assert staging.counts["refused"] == 1100
    with sqlite3.connect(tmp_path / DATABASE) as db:
        assert db.execute("SELECT count(*), max(stream_seq) FROM refused").fetchone() == (1000, 1099)
    db.close()


def test_a_database_that_is_none_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(PeerError, match="back-up"):
        Staging(tmp_path)
    with pytest.raises(PeerError, match="back-up"):
        module.open_for_reading(tmp_path)


def test_an_archive_of_a_newer_roost_is_left_alone(tmp_path: Path) -> None:
    Staging(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Misuse, match="newer Roost"):
        Staging(tmp_path)


def test_a_batch_that_ends_in_the_middle_leaves_nothing_of_it(tmp_path: Path) -> None:
    world = World()

    def broken() -> object:
        yield world.asked(1)
        raise RuntimeError("power cut")

    staging = Staging(tmp_path)
    with pytest.raises(RuntimeError):
        staging.put(broken())  # type: ignore[arg-type]  # an iterable that breaks off
    assert staging.put([world.asked(2)]) == 1
    staging.close()
    assert everything(tmp_path) == [("inputs", 2)]
