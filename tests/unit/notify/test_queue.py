"""Notices on their way, kept."""

from pathlib import Path

import pytest

from roost_broker.clock import SECOND
from roost_broker.errors import PeerError
from roost_edge.notify.queue import Queue

SYNCED = 1_780_000_000 * SECOND


def queue(folder: Path, *, boot: str = "one", max_waiting: int = 3) -> Queue:
    return Queue(folder / "notices.db", boot=boot, max_waiting=max_waiting)


def add(box: Queue, name: str, at: int = 0) -> tuple[bool, int]:
    return box.add(name, name.encode(), monotonic_ns=at, wall_ns=SYNCED + at)


def bodies(box: Queue) -> list[bytes]:
    return [one.body for one in box.waiting(monotonic_ns=0, wall_ns=SYNCED)]


def test_what_is_kept_is_there_for_the_next_process_with_who_has_it(tmp_path: Path) -> None:
    box = queue(tmp_path)
    assert add(box, "a") == (True, 0)
    box.told(1, frozenset({"mail"}))
    box.close()
    again = queue(tmp_path)
    (one,) = again.waiting(monotonic_ns=5 * SECOND, wall_ns=SYNCED)
    assert (one.body, one.told, one.age_s) == (b"a", frozenset({"mail"}), 5.0)
    again.close()


def test_the_same_notice_is_kept_once_also_after_it_was_sent(tmp_path: Path) -> None:
    box = queue(tmp_path)
    assert [add(box, "a"), add(box, "a")] == [(True, 0), (False, 0)]
    box.finished(1)
    assert (add(box, "a"), len(box)) == ((False, 0), 0)
    box.close()


def test_beyond_the_bound_the_oldest_go(tmp_path: Path) -> None:
    box = queue(tmp_path)
    assert [add(box, name)[1] for name in "abcd"] == [0, 0, 0, 1]
    assert bodies(box) == [b"b", b"c", b"d"]
    box.close()


@pytest.mark.parametrize(("wall", "age"), [(SYNCED + 60 * SECOND, 60.0), (5 * SECOND, 0.0)])
def test_of_another_boot_the_wall_clock_tells_the_age_if_it_is_set(tmp_path: Path, wall: int, age: float) -> None:
    box = queue(tmp_path)
    add(box, "a")
    box.close()
    other = queue(tmp_path, boot="two")
    assert [one.age_s for one in other.waiting(monotonic_ns=0, wall_ns=wall)] == [age]
    other.close()


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notices.db").write_bytes(b"x" * 5_000)
    with pytest.raises(PeerError, match="Move the file away"):
        queue(tmp_path)
