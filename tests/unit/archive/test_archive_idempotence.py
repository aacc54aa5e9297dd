import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.frames import FrameStore
from roost_models.archive.writing import Archive


def contents(archive: Archive) -> dict[str, Any]:
    """What the archive says, apart from the order and time of arrival."""
    tables = {
        "inputs": "request_id, message_id, timestamp_ms, seq, attempt, saw, frame_sha256, frame_note, payload",
        "scores": "request_id, model, version, outputs, saw, at",
        "declines": "request_id, model, version, reason",
        "results": "request_id, cause, model, label, payload",
        "frames": "sha256, bytes, removed_ns",
        "anomalies": "kind, request_id, times",
    }
    return {
        table: archive._db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3").fetchall()  # noqa: S608  ours
        for table, columns in tables.items()
    }


@settings(max_examples=25, deadline=None)  # each example writes a database: its time is the disk's affair
@given(data=st.data())
def test_any_order_and_any_repetition_of_messages_gives_the_same_archive(data: st.DataObject, maker_at: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        maker = maker_at(FrameStore(Path(folder) / "capture"))
        messages = []
        for number in range(3):
            messages += [
                maker.request(number, frame=maker.frame(number % 2)),
                maker.score(number, "champion"),
                maker.score(number, "fast"),
                maker.declined(number, "rules"),
                maker.result(number),
            ]
        once = Archive(Path(folder) / "once")
        again = Archive(Path(folder) / "again")
        with once, again:
            for payload in messages:
                once.put(payload, task="nest", received_ns=1, source=maker.frames)
            repeated = data.draw(st.lists(st.sampled_from(messages), max_size=15))
            for payload in data.draw(st.permutations(messages + repeated)):
                again.put(payload, task="nest", received_ns=2, source=maker.frames)
            assert contents(again) == contents(once)
            assert [row.seq for row in again.inputs()] == [row.seq for row in once.inputs()]
