"""The durable list of schedules that were in force, and where a roll-back goes."""

import threading
import tracemalloc
from pathlib import Path

import pytest

from roost_broker.errors import PeerError
from roost_rendezvous.server.schedule_history import FILE, MAX_ENTRIES, Entry, ScheduleHistory, read, to_go_back_to


def entry(version: str, message: str = "", **more: object) -> Entry:
    return Entry(at=1, version=version, schedule={"task": "nest"}, message_id=message or version, **more)  # type: ignore[arg-type]  # a test names fields


def test_what_was_added_is_there_after_a_restart_with_author_reason_and_totals(tmp_path: Path) -> None:
    written = entry("a", author="ann", why="jays", before="0", totals={"requests": 7})
    assert ScheduleHistory(tmp_path).add(written)
    assert read(tmp_path) == [written]
    assert ScheduleHistory(tmp_path).last == written


def test_a_message_leaves_one_line_whoever_writes_it(tmp_path: Path) -> None:
    """During a hand-over two servers keep the same history."""
    one, other = ScheduleHistory(tmp_path), ScheduleHistory(tmp_path)
    assert one.last is None
    assert other.last is None
    assert one.add(entry("a"))
    assert not one.add(entry("a"))
    assert other.add(entry("a"))  # it has not looked at the file since, and finds the line when it writes
    assert [one.version for one in read(tmp_path)] == ["a"]


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    ScheduleHistory(tmp_path).add(entry("a"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at":2,"vers')
    ScheduleHistory(tmp_path).add(entry("b"))
    assert [one.version for one in read(tmp_path)] == ["a", "b"]


def test_the_history_is_bounded_in_lines_and_bytes_and_the_oldest_give_way(tmp_path: Path) -> None:
    history = ScheduleHistory(tmp_path)
    for number in range(MAX_ENTRIES + 1):
        history.add(entry(f"v{number}"))
    kept = read(tmp_path)
    assert len(kept) == MAX_ENTRIES // 2 + 1
    assert kept[-1].version == f"v{MAX_ENTRIES}"
    small = ScheduleHistory(tmp_path, max_bytes=1_000)
    small.add(entry("large", why="x" * 400))
    assert (tmp_path / FILE).stat().st_size <= 1_000
    assert read(tmp_path)[-1].version == "large"


def test_a_flood_of_changes_costs_neither_memory_nor_threads(tmp_path: Path) -> None:
    history = ScheduleHistory(tmp_path)
    tracemalloc.start()
    for number in range(300):
        history.add(entry(f"v{number}", why=f"{number}".zfill(20_000)))
        assert sum(thread.name == "schedule history" for thread in threading.enumerate()) <= 1
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    assert history.older("v7")
    assert (tmp_path / FILE).stat().st_size <= 4_100_000


def test_a_disk_that_refuses_costs_the_line_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = ScheduleHistory(tmp_path / "file" / "below")
    assert history.add(entry("a"))
    assert history.last == entry("a")
    assert history.add(entry("b"))
    assert history.older("a")


def test_what_was_replaced_is_older_and_the_newest_and_strangers_are_not(tmp_path: Path) -> None:
    history = ScheduleHistory(tmp_path)
    for version in ("a", "b"):
        history.add(entry(version))
    assert [history.older(message) for message in ("a", "b", "never seen")] == [True, False, False]


def test_a_roll_back_goes_to_the_one_before_even_over_repetitions() -> None:
    entries = [entry("a"), entry("b", "1"), entry("b", "2")]
    assert to_go_back_to(entries).version == "a"


def test_a_roll_back_takes_the_first_digits_of_a_version() -> None:
    entries = [entry("ab1"), entry("ab2"), entry("cd3")]
    assert to_go_back_to(entries, "ab1").version == "ab1"


@pytest.mark.parametrize(
    ("versions", "wanted", "said"),
    [
        ((), "", "ever in force"),
        (("a",), "", "the first"),
        (("ab1", "ab2", "cd3"), "ab", "could be"),
        (("ab1", "cd3"), "cd3", "the one in force"),
        (("ab1", "cd3"), "ee", "begins with"),
    ],
)
def test_where_there_is_nothing_to_go_back_to_it_says_so(versions: tuple[str, ...], wanted: str, said: str) -> None:
    with pytest.raises(PeerError, match=said):
        to_go_back_to([entry(version) for version in versions], wanted)
