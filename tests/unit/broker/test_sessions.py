import logging
from pathlib import Path

import pytest

from roost_broker.sessions import next_session


def test_each_start_counts_one_more_across_processes(tmp_path: Path) -> None:
    path = tmp_path / "state" / "session"
    assert [next_session(path) for _ in range(3)] == [1, 2, 3]
    assert path.read_bytes() == b"3\n"


@pytest.mark.parametrize("rubbish", [b"", b"\x00\x00", b"three", b"-5", b"\xff"])
def test_a_damaged_counter_goes_on_far_above_any_earlier_number(
    tmp_path: Path, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "session"
    path.write_bytes(rubbish)
    with caplog.at_level(logging.WARNING):
        number = next_session(path)
    assert number > 1_000_000_000
    assert "no session number" in caplog.text
    assert next_session(path) == number + 1
