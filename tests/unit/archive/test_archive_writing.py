import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Misuse, PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_models.archive.reading import ArchiveReader
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, Outcome, Written


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        yield opened


def put(archive: Archive, payload: bytes, source: FrameStore | None = None) -> Written:
    return archive.put(payload, task="nest", received_ns=7, source=source)


def test_an_input_is_archived_with_exactly_the_bytes_it_came_in(archive: Archive, maker: Any) -> None:
    payload = maker.request(1).replace(b'"deadlineMs"', b'"field of tomorrow": [1.50],  "deadlineMs"')
    written = put(archive, payload)
    (row,) = archive.inputs()
    assert written.outcome is Outcome.NEW
    assert row.payload == payload
    assert row.saw == written.saw == hashlib.sha256(payload).hexdigest()
    assert (row.seq, row.attempt, row.received_ns, row.task) == (1, 1, 7, "nest")


def test_the_same_input_again_changes_nothing_and_says_so(archive: Archive, maker: Any) -> None:
    first = put(archive, maker.request(1))
    before = list(archive.inputs())
    again = put(archive, maker.request(1))
    assert (again.outcome, again.saw) == (Outcome.DUPLICATE, first.saw)
    assert list(archive.inputs()) == before


def test_another_attempt_at_the_same_request_is_a_duplicate_whose_bytes_can_be_found(
    archive: Archive, maker: Any
) -> None:
    put(archive, maker.request(1))
    again = put(archive, maker.request(1, attempt=2))
    (row,) = archive.inputs()
    assert again.outcome is Outcome.DUPLICATE
    assert row.payload == maker.request(1)
    assert archive.payload_seen(row, again.saw) == maker.request(1, attempt=2)
    assert archive.payload_seen(row, "0" * 64) is None
    assert archive.stats().anomalies == {}


def test_variants_of_one_request_are_bounded(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "archive", settings=ArchiveSettings(variants_per_request=2)) as archive:
        for attempt in range(1, 9):
            put(archive, maker.request(1, attempt=attempt))
        assert (archive.stats().inputs, archive.stats().variants) == (1, 2)


def test_another_question_under_the_same_request_id_is_named_and_not_stored_over_the_first(
    archive: Archive, maker: Any
) -> None:
    put(archive, maker.request(1, state={"door": "open"}))
    other = put(archive, maker.request(1, attempt=2, state={"door": "shut"}))
    (row,) = archive.inputs()
    assert other.outcome is Outcome.DIFFERENT
    assert row.request.state == {"door": "open"}
    assert archive.stats().anomalies == {"input-differs": 1}


def test_a_score_may_come_before_its_input_and_again_after_it(archive: Archive, maker: Any) -> None:
    outcomes = [put(archive, p).outcome for p in (maker.score(1), maker.request(1), maker.score(1))]
    assert outcomes == [Outcome.NEW, Outcome.NEW, Outcome.DUPLICATE]
    assert archive.stats().scores_without_input == 0


def test_scores_keep_their_floats_to_the_last_bit(archive: Archive, maker: Any) -> None:
    awkward = [0.1 + 0.2, 1e-308, 0.9999999999999999, 5e-324]
    for number, value in enumerate(awkward):
        put(archive, maker.request(number))
        put(archive, maker.score(number, value=value))
    ids = [row.request_id for row in archive.inputs()]
    kept = {score.request_id: score.outputs[0].score for score in archive.scores(ids)}
    assert [kept[request_id] for request_id in ids] == awkward


def test_a_score_in_another_message_is_a_duplicate_and_with_other_numbers_an_anomaly(
    archive: Archive, maker: Any
) -> None:
    put(archive, maker.score(1))
    assert put(archive, maker.score(1, copy=1)).outcome is Outcome.DUPLICATE
    assert put(archive, maker.score(1, value=0.7, copy=2)).outcome is Outcome.DIFFERENT
    assert put(archive, maker.score(1, version="2", copy=3)).outcome is Outcome.NEW
    assert archive.stats().anomalies == {"score-differs": 1}


def test_a_second_different_result_is_counted_and_the_first_stays(archive: Archive, maker: Any) -> None:
    put(archive, maker.result(1, "hen"))
    assert put(archive, maker.result(1, "hen", copy=1)).outcome is Outcome.DUPLICATE
    assert put(archive, maker.result(1, "unknown", copy=2)).outcome is Outcome.DIFFERENT
    assert put(archive, maker.result(1, "unknown", copy=2)).outcome is Outcome.DIFFERENT
    assert archive.stats().results_by_cause == {"preferred": 1}
    assert archive.stats().anomalies == {"result-differs": 2}


def test_other_kinds_of_messages_are_refused(archive: Archive) -> None:
    payload = b'{"schema":"roost.event/1","timestamp":1,"messageId":"%s","kind":"x"}' % (b"0" * 32)
    with pytest.raises(Misuse, match="does not keep a Event"):
        put(archive, payload)


def test_a_frame_is_taken_over_without_a_second_copy(archive: Archive, maker: Any) -> None:
    ref = maker.frame(1)
    written = put(archive, maker.request(1, frame=ref), maker.frames)
    assert written.note is None
    assert archive.frames.path(ref.sha256).samefile(maker.frames.path(ref.sha256))
    maker.frames.remove(ref.sha256)  # capture keeps its own house; the archive's frame stays
    assert archive.frames.read(ref)
    assert (archive.stats().frames, archive.stats().frame_bytes) == (1, ref.bytes)


def test_a_missing_frame_is_noted_and_healed_when_the_input_comes_again(archive: Archive, maker: Any) -> None:
    ref = maker.frame(1)
    data = maker.frames.read(ref)
    maker.frames.remove(ref.sha256)
    payload = maker.request(1, frame=ref)
    assert put(archive, payload, maker.frames) == Written(Outcome.NEW, hashlib.sha256(payload).hexdigest(), "missing")
    assert archive.stats().inputs_without_frame == {"missing": 1}
    maker.frames.put(data, width=64, height=48)
    again = put(archive, payload, maker.frames)
    assert (again.outcome, again.note) == (Outcome.DUPLICATE, None)
    assert archive.stats().inputs_without_frame == {}
    assert archive.frames.read(ref) == data


@pytest.mark.parametrize(("damage", "reason"), [(b"", "truncated"), (b"x" * 992, "altered")])
def test_a_damaged_frame_is_noted_with_its_reason(archive: Archive, maker: Any, damage: bytes, reason: str) -> None:
    ref = maker.frame(1)
    maker.frames.path(ref.sha256).write_bytes(damage)
    assert put(archive, maker.request(1, frame=ref), maker.frames).note == reason


def test_a_frame_that_cannot_be_stored_costs_the_frame_and_not_the_record(
    tmp_path: Path, archive: Archive, maker: Any
) -> None:
    (tmp_path / "archive" / "frames").write_text("a file where the folder should be")
    written = put(archive, maker.request(1, frame=maker.frame(1)), maker.frames)
    assert (written.outcome, written.note) == (Outcome.NEW, "not-storable")
    assert archive.stats().inputs_without_frame == {"not-storable": 1}


def test_a_batch_is_written_as_a_whole_or_not_at_all(archive: Archive, maker: Any) -> None:
    from roost_broker.messages import Request, decode
    from roost_models.archive.writing import Item

    def item(number: int, task: Any) -> Item:
        message = decode(maker.request(number))
        assert isinstance(message, Request)
        return Item(maker.request(number), message, task, 7)

    with pytest.raises(sqlite3.IntegrityError):
        archive.write([item(1, "nest"), item(2, None)])
    assert archive.stats().inputs == 0
    assert put(archive, maker.request(1)).outcome is Outcome.NEW


def test_inputs_come_in_device_order_whatever_the_clock_and_the_order_of_arrival(archive: Archive, maker: Any) -> None:
    old, new = "0" * 32, "f" * 32
    arrivals = [
        maker.request(12, boot=new, seq=3, timestamp=10),  # the clock was set back at this boot
        maker.request(11, boot=new, seq=1, timestamp=50_000),
        maker.request(2, boot=old, seq=2, timestamp=999_999),
        maker.request(1, boot=old, seq=1, timestamp=999_999),
    ]
    for payload in arrivals:
        put(archive, payload)
    assert [(row.boot[0], row.seq) for row in archive.inputs()] == [("f", 1), ("f", 3), ("0", 1), ("0", 2)]
    assert [(row.boot[0], row.seq) for row in archive.inputs(limit=3)] == [("f", 3), ("0", 1), ("0", 2)]


def test_an_iteration_over_several_pages_sees_what_was_there_when_it_began(archive: Archive, maker: Any) -> None:
    for number in range(450):
        put(archive, maker.score(number))  # cheap, unsynced
    from roost_broker.messages import Request, decode
    from roost_models.archive.writing import Item

    requests = [decode(maker.request(number)) for number in range(450)]
    archive.write([Item(maker.request(n), r, "nest", 7) for n, r in enumerate(requests) if isinstance(r, Request)])
    seen = []
    for row in archive.inputs():
        if not seen:
            put(archive, maker.request(1000))
        seen.append(row.seq)
    assert seen == list(range(450))


def test_the_matrix_has_a_row_for_each_input_and_says_what_is_missing(archive: Archive, maker: Any) -> None:
    for payload in (
        maker.request(1),
        maker.request(2),
        maker.score(1, "champion"),
        maker.declined(2, "champion"),
        maker.score(2, "fast"),
    ):
        put(archive, payload)
    rows = [{column[0]: cell.status for column, cell in row.cells.items()} for row in archive.matrix()]
    assert rows == [{"champion": "answered", "fast": "missing"}, {"champion": "declined", "fast": "answered"}]
    first = next(archive.matrix())
    assert first.cells["champion", "1"].saw_archived_bytes is True
    assert first.cells["champion", "1"].outputs[0].label == "hen"


def test_scores_of_bytes_that_nobody_archived_are_counted(archive: Archive, maker: Any) -> None:
    put(archive, maker.request(1, attempt=2))
    put(archive, maker.score(1))  # saw attempt 1
    assert archive.stats().scores_of_other_bytes == 1
    put(archive, maker.request(1))
    assert archive.stats().scores_of_other_bytes == 0


def test_a_reader_beside_the_writer_sees_what_is_committed_and_cannot_write(
    tmp_path: Path, archive: Archive, maker: Any
) -> None:
    put(archive, maker.request(1))
    with ArchiveReader(tmp_path / "archive") as reader:
        assert reader.stats().inputs == 1
        put(archive, maker.request(2))
        assert [row.seq for row in reader.inputs()] == [1, 2]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM inputs")


def test_an_archive_that_nobody_writes_can_be_read(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "archive") as archive:
        put(archive, maker.request(1))
    with ArchiveReader(tmp_path / "archive") as reader:
        assert reader.stats().inputs == 1


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(Misuse, match="Another process writes"):
        Archive(tmp_path / "archive")
    archive.close()
    Archive(tmp_path / "archive").close()


def test_what_is_no_archive_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no archive"):
        ArchiveReader(tmp_path)
    (tmp_path / "archive.db").write_bytes(b"this is no database, but long enough to be read as one" * 40)
    with pytest.raises(PeerError, match="Move its folder aside"):
        ArchiveReader(tmp_path)
    with pytest.raises(PeerError, match="Move its folder aside"):
        Archive(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "archive.db") as connection:
        connection.execute("CREATE TABLE hens (name TEXT)")
    connection.close()
    with pytest.raises(Misuse, match="not an archive"):
        Archive(other)


def test_an_archive_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Archive(tmp_path).close()
    with sqlite3.connect(tmp_path / "archive.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Misuse, match="newer Roost"):
        Archive(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"budget_mb": 0},
        {"budget_mb": float("inf")},
        {"low_water": 1.5},
        {"slice_frames": 0},
        {"variants_per_request": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        ArchiveSettings(**changes)


def test_a_reference_to_a_frame_shared_by_two_requests_is_held_once(archive: Archive, maker: Any) -> None:
    ref: FrameRef = maker.frame(1)
    put(archive, maker.request(1, frame=ref), maker.frames)
    put(archive, maker.request(2, frame=ref), maker.frames)
    assert (archive.stats().frames, archive.stats().frame_bytes) == (1, ref.bytes)


def test_an_archive_that_was_only_just_begun_says_so_to_a_reader(tmp_path: Path) -> None:
    (tmp_path / "archive.db").touch()
    with pytest.raises(Misuse, match="holds nothing yet"):
        ArchiveReader(tmp_path)
