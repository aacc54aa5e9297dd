"""Names from the network become folders of the archive: nothing may lie, or be written, anywhere else."""

from pathlib import Path

import pytest
from central_world import CLOSED, T0, World
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.centre.frames import announced
from roost_broker.errors import Malformed
from roost_broker.topics import is_name
from roost_models.central.compaction import compact, relative_path
from roost_models.central.partitions import DEVICE, Partition, place_of
from roost_models.central.staging import Staging

HOSTILE = ["..", ".", "", "a\\b", "~", "-x", "x" * 300, "con:", "ü", " ", "\n", "_device", "a.b"]


def test_files_of_hostile_topics_lie_in_the_archive_and_are_read_again(tmp_path: Path) -> None:
    world = World()
    staging = Staging(tmp_path / "archive")
    sent = [world.say(f"roost/coop-1/{task}/input", task.encode()) for task in HOSTILE]
    assert staging.put(sent) == len(HOSTILE)
    compact(staging, CLOSED, close_after_ms=0)
    staging.close()
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    (file,) = (tmp_path / "archive").rglob("*.parquet")
    assert file == tmp_path / "archive" / relative_path(Partition("2026-11-20", DEVICE, "inputs"), 1)


@given(st.text(max_size=100))
def test_whatever_the_topic_its_folder_is_a_name(rest: str) -> None:
    place = place_of(f"roost/coop-1/{rest}", "roost")
    assert place == DEVICE or is_name(place)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "0" * 63, "0" * 63 + "/", "A" * 64, "", "0" * 64 + "\n", 7, None]
)
def test_a_frame_that_is_not_named_by_a_digest_is_refused(name: object) -> None:
    import json

    with pytest.raises(Malformed, match="not named by"):
        announced(json.dumps({"name": name, "size": 5}).encode())


def test_two_devices_with_one_outbox_are_told_and_nothing_is_dropped_silently(tmp_path: Path) -> None:
    world = World()
    first = world.say("roost/coop-1/henhouse/input", b"1", seq=1, outbox="e" * 32)
    twin = world.say("roost/coop-2/henhouse/input", b"2", seq=1, outbox="e" * 32)
    staging = Staging(tmp_path)
    assert staging.put([first, first, twin, twin]) == 1
    staging.close()
    assert (staging.counts["duplicate"], staging.counts["refused"]) == (1, 1)
    refused = staging_refusals(tmp_path)
    assert refused == [(b"2", f"Number 1 of outbox {'e' * 32}, of coop-1, is another message: the outbox was copied.")]


def test_a_clock_far_in_the_future_does_not_open_a_day_of_the_future(tmp_path: Path) -> None:
    world = World()
    staging = Staging(tmp_path)
    staging.put([world.say("roost/coop-1/henhouse/input", at=2**53, stored=T0), world.asked(1)])
    days = {partition.day for partition, _ in staging.waiting()}
    staging.close()
    assert days == {"2026-11-20"}


def staging_refusals(root: Path) -> list[tuple[bytes, str]]:
    import sqlite3

    with sqlite3.connect(root / "staging.db") as db:
        found = db.execute("SELECT payload, reason FROM refused").fetchall()
    db.close()
    return found
