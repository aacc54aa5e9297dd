"""Why there was no event: kept per interval, bounded, and told to people."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse, PeerError
from roost_edge.cli.app import app
from roost_edge.cli.motion import when
from roost_edge.motion.why import WhyLog, read

NOON = 1_800_000_000 * SECOND

SETTINGS = """
[node]
name = "coop-1"
[tasks.henhouse]
schedule = "schedule.toml"
[cameras.nest]
task = "henhouse"
"""


def filled(path: Path, seconds: int, keep: int = 1000) -> None:
    log = WhyLog(path, interval_ms=10_000, keep=keep)
    for frame in range(seconds * 10):
        reason = "light-step" if frame == 25 else "too-small" if frame % 10 == 0 else "quiet"
        log.note(
            reason, 0.001 if reason == "too-small" else 0.2 if reason == "light-step" else 0.0, NOON + frame * 100 * MS
        )
    log.close()


def test_every_frame_is_counted_once_by_its_reason(tmp_path: Path) -> None:
    filled(tmp_path / "nest.db", 20)
    found = read(tmp_path / "nest.db", NOON // MS, NOON // MS + 20_000)
    assert [sum(one.frames.values()) for one in found] == [100, 100]
    assert found[0].frames == {"quiet": 89, "too-small": 10, "light-step": 1}
    assert (found[0].largest, found[0].largest_reason) == (0.2, "light-step")
    assert found[1].largest_reason == "too-small"


def test_only_the_time_asked_for_is_read(tmp_path: Path) -> None:
    filled(tmp_path / "nest.db", 60)
    found = read(tmp_path / "nest.db", NOON // MS + 20_000, NOON // MS + 30_000)
    assert [one.start_ms - NOON // MS for one in found] == [20_000]


def test_the_oldest_intervals_go_when_there_are_too_many(tmp_path: Path) -> None:
    filled(tmp_path / "nest.db", 600, keep=20)
    found = read(tmp_path / "nest.db", 0, 2**62)
    assert 20 <= len(found) <= 23
    assert found[-1].start_ms - NOON // MS == 590_000


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path / "nest.db", 10)
    filled(tmp_path / "nest.db", 10)
    assert len(read(tmp_path / "nest.db", 0, 2**62)) == 2


def test_a_log_that_was_never_begun_and_one_that_is_damaged_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="Nothing is known about motion yet"):
        read(tmp_path / "nest.db", 0, 1)
    (tmp_path / "bad.db").write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(PeerError, match=r"bad\.db"):
        WhyLog(tmp_path / "bad.db", interval_ms=10_000, keep=10)


def test_a_time_of_day_is_the_last_such_time() -> None:
    now = datetime(2027, 5, 4, 12, 0, tzinfo=UTC)
    assert when("11:58", now) == now - timedelta(minutes=2)
    assert when("14:03", now) == datetime(2027, 5, 3, 14, 3, tzinfo=UTC)
    assert when("2027-05-01T07:00:00+00:00", now) == datetime(2027, 5, 1, 7, 0, tzinfo=UTC)
    with pytest.raises(Misuse, match="no time"):
        when("noon", now)
    with pytest.raises(Misuse, match="no time of day"):
        when("25:00", now)


def asked(tmp_path: Path, *more: str) -> tuple[int, str]:
    (tmp_path / "roost.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "schedule.toml").write_text("", encoding="utf-8")
    moment = datetime.fromtimestamp(NOON // SECOND, UTC).isoformat()
    ran = CliRunner().invoke(
        app, ["motion", "why", "-s", str(tmp_path / "roost.toml"), "--camera", "nest", "--at", moment, *more]
    )
    return ran.exit_code, ran.output if ran.exception is None or ran.exit_code else str(ran.exception)


def test_the_command_says_why_in_a_sentence_and_a_table(tmp_path: Path) -> None:
    filled(tmp_path / "roost-data" / "motion" / "nest.db", 60)
    code, said = asked(tmp_path)
    assert code == 0, said
    assert "nest saw no motion in 600 frames" in said
    assert "60 × too-small, 1 × light-step" in said or "59 × too-small" in said
    assert "20.00 % of the picture (light-step)" in said
    assert "the light changed" in said


def test_the_command_tells_programs_the_same(tmp_path: Path) -> None:
    filled(tmp_path / "roost-data" / "motion" / "nest.db", 20)
    code, said = asked(tmp_path, "--json")
    assert code == 0, said
    told = json.loads(said)
    assert told["camera"] == "nest"
    assert told["intervals"][0]["frames"]["light-step"] == 1


def test_the_command_says_so_when_nobody_looked_then(tmp_path: Path) -> None:
    filled(tmp_path / "roost-data" / "motion" / "nest.db", 10)
    (tmp_path / "roost.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "schedule.toml").write_text("", encoding="utf-8")
    ran = CliRunner().invoke(app, ["motion", "why", "-s", str(tmp_path / "roost.toml"), "--at", "2020-01-01T00:00"])
    assert ran.exit_code == 1
    assert "Nothing was looked at" in ran.output
