import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.errors import PeerError
from roost_broker.gateway.outbox import Full, Outbox
from roost_broker.gateway.rows import Arrival, content_of, size_of
from roost_broker.moments import Stamp

STAMP = Stamp("boot", 5, 7)
TOPIC = "roost/n/t/input"
PAD = b"x" * 1000


def message(
    name: str, lane: LaneName = "inputs", *, payload: bytes = PAD, retained: bool = False, **more: bool
) -> Arrival:
    frames = more.pop("frames", ())
    return Arrival(
        lane,
        TOPIC,
        payload,
        STAMP,
        name.encode(),
        retained=retained,
        frames=frames,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def open_outbox(tmp_path: Path) -> Iterator[Callable[..., Outbox]]:
    """Opens the one outbox of the test, again and again; what was opened is closed at the end."""
    with contextlib.ExitStack() as stack:

        def opened(**bounds: int) -> Outbox:
            box = Outbox(tmp_path / "gateway.db", boot="boot", **{"max_bytes": 10_000_000, "reach": 0} | bounds)
            stack.callback(box.close)
            return box

        yield opened


def test_numbers_count_from_one_in_each_lane_and_go_on_after_a_restart(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox()
    assert box.add([message("a"), message("b", "alerts"), message("c")]).last["inputs"] == 2
    box.close()
    again = open_outbox()
    assert again.name == box.name
    assert again.add([message("d")]).last == {lane: {"inputs": 3, "alerts": 1}.get(lane, 0) for lane in LANE_NAMES}
    rows = again.rows_after("inputs", 1)
    assert [(row.seq, row.topic, row.payload, row.received) for row in rows] == [
        (2, TOPIC, PAD, STAMP),
        (3, TOPIC, PAD, STAMP),
    ]
    again.close()


def test_what_is_delivered_again_is_not_kept_again_not_even_after_a_restart(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox()
    assert box.add([message("a"), message("a")]).known == 1
    box.close()
    again = open_outbox()
    assert again.add([message("a"), message("b")]).known == 1
    assert again.standing()["inputs"].last == 2
    again.close()


def test_the_memory_for_repetitions_is_bounded(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(remembered=100)
    box.add([message(str(n)) for n in range(101)])
    assert box.add([message("100"), message("1"), message("0")]).known == 2
    box.close()
    assert open_outbox(remembered=100).add([message("0")]).known == 1


def test_a_retained_message_is_known_by_its_content_however_long_ago(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(remembered=100)
    box.add([message("state-1", state=True)])
    box.add([message(str(n)) for n in range(200)])
    assert box.add([message("state-1", retained=True, state=True)]).known == 1
    assert box.add([message("state-2", retained=True, state=True)]).known == 0
    box.close()


def test_equal_messages_without_an_id_are_different_unless_delivered_again(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox()
    digest = hashlib.sha256(b"ON").hexdigest()
    assert box.add([message(digest, named=False), message(digest, named=False)]).known == 0
    assert box.add([message(digest, named=False, again=True)]).known == 1
    box.close()


def test_beyond_the_budget_the_oldest_of_the_least_important_lane_goes_and_leaves_one_gap(
    open_outbox: Callable[..., Outbox],
) -> None:
    one = size_of(TOPIC, PAD)
    box = open_outbox(max_bytes=20 * one)
    box.add([message(f"alert-{n}", "alerts") for n in range(5)])
    box.add([message(f"score-{n}", "scores") for n in range(10)])
    added = box.add([message(f"input-{n}") for n in range(10)])
    assert added.dropped == {"scores": 6}  # five too many, and the gap itself takes room
    assert box.size <= 20 * one
    scores = box.rows_after("scores", 0)
    assert [(row.seq, row.gap_first) for row in scores] == [(6, 1), *((n, None) for n in range(7, 11))]
    assert [row.seq for row in box.rows_after("alerts", 0)] == [1, 2, 3, 4, 5]
    box.close()


def test_gaps_that_touch_become_one(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(max_bytes=10 * size_of(TOPIC, PAD))
    for n in range(100):
        box.add([message(str(n))])
    rows = box.rows_after("inputs", 0)
    assert rows[0].gap_first == 1
    assert [row.gap_first for row in rows[1:]] == [None] * (len(rows) - 1)
    assert rows[-1].seq == 100
    assert [row.seq for row in rows] == list(range(rows[0].seq, 101))
    box.close()


def test_what_was_loaded_for_sending_is_never_dropped(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(max_bytes=10 * size_of(TOPIC, PAD))
    box.add([message(str(n)) for n in range(8)])
    assert len(box.rows_after("inputs", 0, limit=4)) == 4
    box.add([message(str(n)) for n in range(8, 16)])
    rows = box.rows_after("inputs", 0)
    assert [(row.seq, row.gap_first) for row in rows[:5]] == [
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (rows[4].seq, 5),
    ]
    box.close()


def test_what_is_settled_is_forgotten_and_gives_its_room_back(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox()
    box.add([message(str(n)) for n in range(300)])
    box.settle("inputs", 250, 99)
    box.flush()
    assert box.size == 50 * size_of(TOPIC, PAD)
    assert box.count == 50
    box.close()
    standing = open_outbox().standing()["inputs"]
    assert (standing.settled, standing.last, standing.position) == (250, 300, 99)


def test_a_full_medium_keeps_nothing_of_the_batch_and_says_so(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(max_pages=40)
    box.add([message("first")])
    with pytest.raises(Full):
        box.add([message(str(n), payload=b"y" * 50_000) for n in range(20)])
    assert box.standing()["inputs"].last == 1
    assert box.size == size_of(TOPIC, PAD)
    box.settle("inputs", 1, 1)  # what was sent makes room
    box.flush()
    added = box.add([message("0"), message("first")])
    assert (added.last["inputs"], added.known) == (2, 1)
    box.close()


def test_an_unreadable_file_is_put_aside_and_a_new_outbox_begun(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    box = open_outbox()
    box.add([message("a")])
    box.close()
    (tmp_path / "gateway.db").write_bytes(b"no database at all, but long enough to look like something" * 100)
    again = open_outbox()
    assert again.put_aside == tmp_path / "gateway.db.unreadable"
    assert again.name != box.name
    assert again.add([message("a")]).last["inputs"] == 1
    again.close()


def test_a_file_whose_content_turned_out_to_be_damaged_does_not_stop_the_next_start(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    box = open_outbox()
    box.add([message(str(n)) for n in range(100)])
    box.close()
    whole = bytearray((tmp_path / "gateway.db").read_bytes())
    whole[-40_960:] = os.urandom(40_960)  # messages; what is read at the start is whole
    (tmp_path / "gateway.db").write_bytes(whole)
    again = open_outbox()
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        again.rows_after("inputs", 0, limit=200)
    again.condemn()
    assert open_outbox().name != box.name
    assert (tmp_path / "gateway.db.unreadable").stat().st_size == len(whole)


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").mkdir()
    with pytest.raises(PeerError, match="outbox"):
        Outbox(tmp_path / "gateway.db", boot="boot", max_bytes=10**6)


def test_an_outbox_that_went_back_in_time_takes_a_new_name_and_sends_what_is_not_there(
    open_outbox: Callable[..., Outbox],
) -> None:
    box = open_outbox()
    box.add([message(str(n)) for n in range(5)])
    box.close()
    again = open_outbox()
    again.add([message("new-6"), message("new-7")])
    # The centre has 1 to 9: 1 to 5 and 7 are those of the file, the others somebody else's.
    ours = {row.seq: content_of(row.topic, row.payload) for row in again.rows_after("inputs", 0)}
    moved = again.renew(
        "inputs",
        {seq: content_of("roost/n/t/input", b"another's") for seq in range(1, 10)}
        | {seq: content for seq, content in ours.items() if seq != 6},
    )
    assert moved == 1
    assert again.name_of("inputs") != box.name
    assert again.name_of("scores") == box.name
    left = again.rows_after("inputs", 0)
    assert [(row.seq, content_of(row.topic, row.payload)) for row in left] == [(1, ours[6])]
    again.add([message("7")])
    again.close()
    renewed, again = again, open_outbox()
    assert again.name_of("inputs") == renewed.name_of("inputs")
    assert again.add([message("8")]).last["inputs"] == 3
    again.close()


def test_pictures_are_noted_once_those_of_alerts_first(open_outbox: Callable[..., Outbox]) -> None:
    box = open_outbox(max_frames=2)
    added = box.add(
        [
            message("a", frames=(("11" * 32, 5, False),)),  # type: ignore[arg-type]
            message("b", frames=(("11" * 32, 5, False),)),  # type: ignore[arg-type]
            message("c", frames=(("22" * 32, 5, True),)),  # type: ignore[arg-type]
            message("d", frames=(("33" * 32, 5, False),)),  # type: ignore[arg-type]
        ]
    )
    assert added.frames_dropped == 1
    assert box.pictures.next(alarmed_only=False) == ("22" * 32, 5, True)
    box.pictures.done("22" * 32, uploaded=True)
    assert box.pictures.next(alarmed_only=True) is None
    box.add([message("e", frames=(("22" * 32, 5, False),))])  # type: ignore[arg-type]
    assert box.pictures.count == 1
    box.close()


def test_pictures_of_a_batch_that_found_no_room_are_not_counted_as_waiting(tmp_path: Path) -> None:
    for pages in range(20, 50):  # so that it is now this statement that finds no room, now that one
        path = tmp_path / str(pages) / "gateway.db"
        box = Outbox(path, boot="boot", max_bytes=10_000_000, max_pages=pages)
        full, n = False, 0
        while not full:
            n += 1
            batch = [message(f"{n}-{one}", payload=b"y") for one in range(20)]
            batch.append(message(str(n), payload=b"y", frames=((f"{n:064x}", 5, False),)))  # type: ignore[arg-type]
            try:
                box.add(batch)
            except Full:
                full = True
        counted = box.pictures.count
        box.close()
        again = Outbox(path, boot="boot", max_bytes=10_000_000)
        assert counted == again.pictures.count
        again.close()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(LANE_NAMES), st.integers(1, 30), st.booleans()), max_size=25), st.data())
def test_every_number_is_a_message_or_within_a_gap_whatever_is_dropped_and_settled(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[LaneName, int, bool]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "gateway.db"
    with contextlib.ExitStack() as stack:

        def opened() -> Outbox:
            box = Outbox(path, boot="boot", max_bytes=30 * size_of(TOPIC, PAD), reach=3)
            stack.callback(box.close)
            return box

        box = opened()
        name = 0
        for lane, count, restart in steps:
            box.add([message(str(name + n), lane) for n in range(count)])
            name += count
            standing = box.standing()[lane]
            if standing.last > standing.settled and data.draw(st.booleans()):
                rows = box.rows_after(lane, standing.settled, limit=data.draw(st.integers(1, 20)))
                box.settle(lane, data.draw(st.sampled_from([row.seq for row in rows])), 1)
            if restart:
                box.flush()
                box.close()
                box = opened()
        box.flush()
        for lane in LANE_NAMES:
            standing = box.standing()[lane]
            covered = standing.settled
            for row in box.rows_after(lane, standing.settled, limit=10_000):
                assert (row.gap_first if row.gap_first is not None else row.seq) == covered + 1
                covered = row.seq
            assert covered == standing.last
        box.close()
    with sqlite3.connect(path) as db:
        size, count = db.execute("SELECT sum(bytes), sum(rows) FROM lane").fetchone()
        real = db.execute(
            "SELECT ifnull(sum(length(topic) + length(payload) + 400), 0), count(*) FROM waiting"
        ).fetchone()
    db.close()
    assert (size or 0, count or 0) == real
