import random
import resource
import shutil
from pathlib import Path

import pytest
from central_world import CLOSED, DAY, T0, World, archived

from roost_broker.centre.envelope import Envelope
from roost_models.central import parquet
from roost_models.central.compaction import compact, unfinished
from roost_models.central.partitions import DAY_MS, Partition
from roost_models.central.reading import CentralArchive
from roost_models.central.staging import ArchiveFull, Staging
from roost_models.central.view import Choice


def some(count: int = 20) -> list[Envelope]:
    world = World()
    return [world.asked(number, node=f"coop-{1 + number % 2}", at=T0 + number) for number in range(count)]


def keys(root: Path) -> list[tuple[str, str, int]]:
    return [one.key for one in CentralArchive(root).rows()]


def test_a_closed_day_goes_to_a_file_by_task_day_and_lane(tmp_path: Path) -> None:
    (record,) = archived(tmp_path, *some(), close=True)
    assert record.path == f"henhouse/{DAY}/inputs-1.parquet"
    assert record.rows == 20
    assert (tmp_path / record.path).stat().st_size == record.bytes


def test_a_day_that_is_not_over_stays(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.put(some())
    assert compact(staging, T0, close_after_ms=0) == []
    staging.close()


def test_messages_come_out_as_they_went_in_sorted_by_device_and_number(tmp_path: Path) -> None:
    world = World()
    messages = [
        world.say("roost/coop-2/henhouse/input", bytes(range(256)), at=T0),
        world.say("roost/coop-1/henhouse/input", b"", at=T0 + 5),
        world.say("roost/coop-1/henhouse/input", b"\xff", at=T0, gap=(2, 2)),
    ]
    (record,) = archived(tmp_path, *messages, close=True)
    found = list(parquet.read(tmp_path / record.path))
    assert found == [messages[1], messages[2], messages[0]]
    assert [one.stored_ms for one in found] == [T0 + 5, T0, T0]


def test_the_same_messages_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    messages = some()
    digests = set()
    for seed in range(3):
        random.Random(seed).shuffle(messages)
        (record,) = archived(tmp_path / str(seed), *messages, close=True)
        digests.add(record.sha256)
    assert len(digests) == 1


def test_what_comes_late_goes_to_a_further_file_and_is_read_in_its_place(tmp_path: Path) -> None:
    messages = some(10)
    archived(tmp_path, *messages[:6], *messages[8:], close=True)
    (record,) = archived(tmp_path, *messages[6:8], close=True)
    assert record.path.endswith("inputs-2.parquet")
    assert keys(tmp_path) == sorted((one.key for one in messages), key=lambda key: (key[0], key[2]))


def test_a_large_day_goes_to_several_files(tmp_path: Path) -> None:
    records = archived(tmp_path, *some(20), close=True, rows=6)
    assert [record.rows for record in records] == [6, 6, 6, 2]
    assert len(keys(tmp_path)) == 20


def test_a_cut_after_the_file_has_its_name_doubles_nothing(tmp_path: Path) -> None:
    messages = some()
    staging = Staging(tmp_path)
    staging.put(messages)
    # 1. the file is written …
    partition = Partition(DAY, "henhouse", "inputs")
    parquet.write(tmp_path / f"henhouse/{DAY}/inputs-1.parquet", partition, staging.rows(partition, 10, 10**6))
    # 2. … and here the power goes: both hold the messages
    staging.close()
    assert len(keys(tmp_path)) == 20
    # 3. the next start writes the same file again
    again = Staging(tmp_path)
    (record,) = compact(again, CLOSED, close_after_ms=0)
    again.close()
    assert record.rows == 20
    assert len(keys(tmp_path)) == 20
    assert len(list(tmp_path.glob("*/*/*.parquet"))) == 1


def test_a_half_written_file_is_not_read_and_is_found(tmp_path: Path) -> None:
    archived(tmp_path, *some(), close=True)
    part = tmp_path / f"henhouse/{DAY}/.inputs-2.parquet.part"
    part.write_bytes(b"PAR1 and no more")
    assert len(keys(tmp_path)) == 20
    assert unfinished(tmp_path) == [part]


def test_a_full_disk_is_told_and_the_messages_stay_where_they_were(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.put(some(5))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(ArchiveFull, match="no room"):
            compact(staging, CLOSED, close_after_ms=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert unfinished(tmp_path) == []
    assert len(compact(staging, CLOSED, close_after_ms=0)) == 1
    staging.close()
    assert len(keys(tmp_path)) == 5


@pytest.mark.parametrize("where", [0.02, 0.3, 0.6, 0.97])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, where: float) -> None:
    (record,) = archived(tmp_path, *some(500), close=True)
    path = tmp_path / record.path
    data = bytearray(path.read_bytes())
    position = int(len(data) * where)
    data[position : position + 8] = bytes(byte ^ 0xFF for byte in data[position : position + 8])
    path.write_bytes(data)
    with pytest.raises(parquet.DamagedFile, match="back-up"):
        CentralArchive(tmp_path).verify()


def test_wherever_a_byte_is_damaged_what_is_read_is_right_or_refused(tmp_path: Path) -> None:
    (record,) = archived(tmp_path, *some(200), close=True)
    path = tmp_path / record.path
    data = path.read_bytes()
    whole = list(parquet.read(path))
    refused = 0
    for position in range(0, len(data), 61):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        try:
            assert list(parquet.read(path)) == whole
        except parquet.DamagedFile:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("content", [b"", b"PAR1", b"something else entirely" * 10])
def test_what_is_no_file_of_the_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    archived(tmp_path, *some(), close=True)
    (tmp_path / f"henhouse/{DAY}/inputs-9.parquet").write_bytes(content)
    with pytest.raises(parquet.DamagedFile, match="inputs-9"):
        keys(tmp_path)


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    archived(tmp_path, *some(), close=True)
    pq.write_table(pa.table({"x": [1]}), tmp_path / f"henhouse/{DAY}/inputs-9.parquet")
    with pytest.raises(parquet.DamagedFile, match="not a file of this archive"):
        keys(tmp_path)


def test_a_copy_of_the_files_alone_can_be_read(tmp_path: Path) -> None:
    archived(tmp_path / "a", *some(), close=True)
    shutil.copytree(tmp_path / "a" / "henhouse", tmp_path / "b" / "henhouse")
    assert len(keys(tmp_path / "b")) == 20


def test_files_say_what_they_hold_without_being_read(tmp_path: Path) -> None:
    (record,) = archived(tmp_path, *some(7), close=True)
    about = parquet.summary(tmp_path / record.path)
    assert (about.rows, about.first_ms, about.last_ms) == (7, T0, T0 + 6)


def test_days_are_closed_one_after_the_other_oldest_first(tmp_path: Path) -> None:
    world = World()
    staging = Staging(tmp_path)
    staging.put([world.asked(1, at=T0), world.asked(2, at=T0 + DAY_MS), world.scored(1, at=T0)])
    (first,) = compact(staging, CLOSED, close_after_ms=0, limit=1)
    rest = compact(staging, CLOSED, close_after_ms=0)
    staging.close()
    assert first.partition.day == DAY
    assert len(rest) == 2
    assert CentralArchive(tmp_path).count(Choice(task="henhouse")) == 3
