"""The request log: what is accepted survives, and each request has one answer."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_broker.clock import MS
from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import Answer, DefaultAnswer, FrameRef, Input, Issued, Receipt, Request, Result, encode
from roost_edge.capture.request_log import KeptFrame, RequestLog
from roost_edge.capture.request_summary import summarise

BOOT, OTHER_BOOT = "b" * 32, "c" * 32
NOW_MS = 1_800_000_000_000


def hex32(number: int) -> str:
    return f"{number:032x}"


def frame_name(number: int) -> str:
    return f"{number:064x}"


def request(number: int, *, boot: str = BOOT, frame: int | None = None, size: int = 100) -> Request:
    return Request(
        timestamp=NOW_MS,
        message_id=hex32(1000 + number),
        request_id=hex32(number),
        return_address="roost/coop/nest/results/cam",
        deadline_ms=2000,
        issued=Issued(boot=boot, seq=number, monotonic_ns=number * MS),
        input=Input(
            frame=FrameRef(
                sha256=frame_name(number if frame is None else frame), bytes=size, path="x.jpg", width=8, height=8
            )
        ),
    )


def accept(log: RequestLog, number: int, *, wall_ms: int | None = None, **more: object) -> Request:
    asked = request(number, **more)
    log.accept(asked, encode(asked), accepted_wall_ms=NOW_MS + number if wall_ms is None else wall_ms)
    return asked


def result(number: int, *, message: int = 1, default: bool = False) -> Result:
    answer = Answer(model="champion", version="1", label="egg", score=0.9)
    return Result(
        timestamp=NOW_MS,
        message_id=hex32(5000 + message),
        request_id=hex32(number),
        cause="default" if default else "preferred",
        answer=None if default else answer,
        default=DefaultAnswer(label="unknown", reason="no model answered") if default else None,
        elapsed_ms=3,
        sla_ms=2000,
    )


def receipt(number: int) -> Receipt:
    return Receipt(timestamp=NOW_MS, message_id=hex32(9000 + number), request_id=hex32(number), saw="0" * 64)


def answer(log: RequestLog, number: int, *, after_ms: int = 10, message: int = 1, default: bool = False) -> str:
    found = result(number, message=message, default=default)
    return log.result(found, encode(found), arrived_ns=(number + after_ms) * MS, wall_ms=NOW_MS)


def close(log: RequestLog, number: int) -> None:
    answer(log, number)
    log.receipt(receipt(number), wall_ms=NOW_MS)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RequestLog]:
    with RequestLog(tmp_path / "requests" / "cam.db", boot=BOOT) as opened:
        yield opened


def test_an_accepted_request_is_open_until_receipt_and_result(log: RequestLog) -> None:
    asked = accept(log, 1)
    (found,) = log.open_requests()
    assert (found.request_id, found.payload, found.attempts) == (asked.request_id, encode(asked), 1)
    assert answer(log, 1) == "recorded"
    (found,) = log.open_requests()
    assert (found.receipt, found.result) == (False, True)
    assert log.receipt(receipt(1), wall_ms=NOW_MS) == "recorded"
    assert log.open_requests() == []


def test_the_same_result_again_is_a_duplicate_another_one_a_second_answer_that_changes_nothing(log: RequestLog) -> None:
    accept(log, 1)
    assert answer(log, 1, message=1) == "recorded"
    assert answer(log, 1, message=1) == "duplicate"
    assert answer(log, 1, message=2, default=True) == "second-answer"
    assert answer(log, 1, message=1) == "duplicate"
    summary = summarise(log.path)
    assert summary.second_answers == 1
    assert summary.by_cause == {"preferred": 1}


def test_receipts_and_results_of_unknown_requests_are_strangers(log: RequestLog) -> None:
    assert answer(log, 7) == "stranger"
    assert log.receipt(receipt(7), wall_ms=NOW_MS) == "stranger"
    accept(log, 1)
    assert log.receipt(receipt(1), wall_ms=NOW_MS) == "recorded"
    assert log.receipt(receipt(1), wall_ms=NOW_MS) == "duplicate"


def test_the_summary_counts_latency_sla_causes_and_models(log: RequestLog) -> None:
    for number in range(1, 6):
        accept(log, number)
    answer(log, 1, after_ms=10)
    answer(log, 2, after_ms=2000)
    answer(log, 3, after_ms=2001)
    answer(log, 4, after_ms=30, default=True)
    log.receipt(receipt(1), wall_ms=NOW_MS)
    log.published_again(hex32(5), wall_ms=NOW_MS)
    summary = summarise(log.path)
    assert (summary.requests, summary.answered, summary.within_sla, summary.receipts) == (5, 4, 3, 1)
    assert (summary.open, summary.republished, summary.unjudged) == (4, 1, 0)
    assert summary.by_cause == {"default": 1, "preferred": 3}
    assert summary.by_model == {"champion": 3}
    assert (summary.p50_ms, summary.p99_ms, summary.max_ms) == (30, 2001, 2001)


def test_an_empty_log_has_no_latency(log: RequestLog) -> None:
    summary = summarise(log.path)
    assert summary.requests == 0
    assert summary.p99_ms is None


def test_no_log_at_all_is_said_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no request log"):
        summarise(tmp_path / "nothing.db")


def test_a_closed_log_can_still_be_summarised(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        accept(log, 1)
    assert summarise(tmp_path / "a.db").requests == 1


def test_answered_after_a_reboot_there_is_no_latency_and_no_claim_of_being_in_time(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        accept(log, 1)
    with RequestLog(tmp_path / "a.db", boot=OTHER_BOOT) as log:
        assert answer(log, 1, after_ms=-1) == "recorded"
    summary = summarise(tmp_path / "a.db")
    assert (summary.answered, summary.within_sla, summary.unjudged) == (1, 0, 1)


def test_sequence_numbers_go_on_within_a_boot_even_after_trimming_and_start_again_with_the_next(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        assert log.next_seq() == 1
        for number in (1, 2, 3):
            accept(log, number)
            close(log, number)
        log.trim(before_wall_ms=NOW_MS * 2, keep=1)
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        assert log.next_seq() == 4
    with RequestLog(tmp_path / "a.db", boot=OTHER_BOOT) as log:
        assert log.next_seq() == 1


def test_a_sequence_number_or_id_cannot_be_used_twice(log: RequestLog) -> None:
    accept(log, 1)
    with pytest.raises(Misuse, match="already in the log"):
        accept(log, 1)
    assert summarise(log.path).requests == 1
    accept(log, 2)


def test_a_request_of_another_boot_is_refused(log: RequestLog) -> None:
    with pytest.raises(Misuse, match="issued"):
        accept(log, 1, boot=OTHER_BOOT)


def test_trimming_deletes_old_and_surplus_closed_rows_and_never_open_ones(log: RequestLog) -> None:
    for number in range(1, 7):
        accept(log, number)
    for number in (1, 2, 4, 5):
        close(log, number)
    freed = log.trim(before_wall_ms=NOW_MS + 2, keep=5)
    assert freed == (KeptFrame(frame_name(1), 100),)
    assert log.trim(before_wall_ms=NOW_MS * 2, keep=5) == tuple(KeptFrame(frame_name(n), 100) for n in (2, 4, 5))
    assert [found.request_id for found in log.open_requests()] == [hex32(3), hex32(6)]
    assert summarise(log.path).trimmed == 4


def test_trimming_by_number_alone_keeps_the_newest(log: RequestLog) -> None:
    for number in range(1, 6):
        accept(log, number)
        close(log, number)
    freed = log.trim(before_wall_ms=0, keep=2)
    assert [frame.sha256 for frame in freed] == [frame_name(1), frame_name(2), frame_name(3)]


def test_over_the_budget_the_oldest_frames_go_but_none_that_an_open_request_needs(log: RequestLog) -> None:
    for number in range(1, 5):
        accept(log, number)
    for number in (2, 3, 4):
        close(log, number)
    assert log.frame_bytes == 400
    assert log.spare_frames(400) == ()
    assert log.spare_frames(250) == (KeptFrame(frame_name(2), 100), KeptFrame(frame_name(3), 100))
    assert log.frame_bytes == 200
    assert log.spare_frames(50) == (KeptFrame(frame_name(4), 100),)  # frame 1 is still needed


def test_a_picture_asked_about_twice_is_kept_until_both_rows_let_it_go(log: RequestLog) -> None:
    accept(log, 1, frame=77)
    accept(log, 2, frame=77)
    close(log, 1)
    assert log.spare_frames(100) == ()
    close(log, 2)
    assert log.spare_frames(0) == (KeptFrame(frame_name(77), 100),)


def test_frames_in_the_budget_are_counted_again_after_a_restart(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        accept(log, 1, size=123)
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        assert log.frame_bytes == 123


def test_a_file_that_is_no_log_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is no database, however long it may be" * 100)
    with pytest.raises(PeerError, match="cannot be opened") as caught:
        RequestLog(tmp_path / "a.db", boot=BOOT)
    assert "move it away" in caught.value.remedy


def test_a_log_of_a_later_format_is_refused(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "a.db")
    conn.execute("PRAGMA user_version = 99")
    conn.close()
    with pytest.raises(Misuse, match="format 99"):
        RequestLog(tmp_path / "a.db", boot=BOOT)


def test_the_summary_is_readable_from_another_process_while_the_log_is_written(log: RequestLog) -> None:
    accept(log, 1)
    imports = "from pathlib import Path; from roost_edge.capture.request_summary import summarise"
    code = f"{imports}; print(summarise(Path({str(log.path)!r})).requests)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "1"
    accept(log, 2)


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_request_log import BOOT, accept, answer
from roost_edge.capture.request_log import RequestLog
log = RequestLog(Path({path!r}), boot=BOOT)
for number in range(1, 10_000):
    accept(log, number)
    if number % 3 == 0:
        answer(log, number)
    print(number, flush=True)
"""


def test_killed_with_minus_nine_every_accepted_request_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    code = _CHILD.format(here=str(Path(__file__).parent), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(50)]
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.stdout if line.endswith("\n")]
    with RequestLog(path, boot=BOOT) as log:
        there = {int(found.request_id, 16) for found in log.open_requests()}
        assert set(told) <= there
        assert there - set(told) <= {told[-1] + 1}
        assert log.next_seq() == max(there) + 1
    assert summarise(path).answered >= told[-1] // 3


def test_what_the_gateway_has_not_told_of_is_found_by_the_next_process_though_it_is_closed(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        for number in (1, 2):
            asked = request(number)
            log.accept(asked, encode(asked), accepted_wall_ms=NOW_MS, forwarded=False)
            close(log, number)
        accept(log, 3)
        close(log, 3)
        log.forwarded([hex32(1)])
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        (left,) = log.open_requests()
        assert (left.request_id, left.receipt, left.result, left.forwarded) == (hex32(2), True, True, False)
        log.trim(before_wall_ms=NOW_MS + 10, keep=0)
        assert log.open_requests() == []


def test_a_log_that_was_begun_before_gateways_goes_on(tmp_path: Path) -> None:
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        accept(log, 1)
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("DROP TABLE unforwarded")
    db.close()
    with RequestLog(tmp_path / "a.db", boot=BOOT) as log:
        assert [left.forwarded for left in log.open_requests()] == [True]
