"""The supervisor's pure and small parts: restart policy, bounded log, log lines."""

import asyncio
import contextvars
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND, SystemClock
from roost_broker.errors import Misuse
from roost_edge import logs
from roost_edge.processes.child_log import ChildLog
from roost_edge.processes.restart import RestartPolicy, after_exit
from roost_edge.processes.supervised import SupervisedRole

POLICY = RestartPolicy(first_ns=200 * MS, ceiling_ns=3 * SECOND, healthy_ns=10 * SECOND, jitter=0.5)


def waits(exits: int, ran_ns: int = 0, chance: float = 0.0) -> list[int]:
    failures, found = 0, []
    for _ in range(exits):
        decision = after_exit(POLICY, failures=failures, started_ns=0, now=ran_ns, chance=chance)
        failures = decision.failures
        found.append(decision.due_ns - ran_ns)
    return found


def test_each_failure_in_a_row_waits_twice_as_long_up_to_the_ceiling() -> None:
    assert waits(6) == [200 * MS, 400 * MS, 800 * MS, 1600 * MS, 3 * SECOND, 3 * SECOND]


def test_a_process_that_ran_long_enough_is_forgiven() -> None:
    assert waits(3, ran_ns=10 * SECOND) == [200 * MS] * 3
    assert waits(2, ran_ns=10 * SECOND - 1) == [200 * MS, 400 * MS]


@given(failures=st.integers(0, 10**6), chance=st.floats(0, 1), ran=st.integers(0, 10**12))
def test_a_restart_is_never_in_the_past_and_never_beyond_the_ceiling(failures: int, chance: float, ran: int) -> None:
    decision = after_exit(POLICY, failures=failures, started_ns=5, now=5 + ran, chance=chance)
    assert POLICY.first_ns // 2 <= decision.due_ns - (5 + ran) <= POLICY.ceiling_ns
    assert decision.failures >= 1


@pytest.mark.parametrize(
    "bad", [{"first_ns": 0}, {"first_ns": 2, "ceiling_ns": 1}, {"jitter": 1.5}, {"healthy_ns": -1}]
)
def test_a_policy_that_cannot_be_is_refused_when_it_is_made(bad: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        RestartPolicy(**bad)


def test_lines_are_put_together_from_pieces_and_kept_in_the_file(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "logs" / "role.log")
    assert log.feed(b"one\ntw") == ["one"]
    assert log.feed(b"o\nthree") == ["two"]
    assert log.end() == ["three"]
    log.close()
    assert (tmp_path / "logs" / "role.log").read_bytes() == b"one\ntwo\nthree\n"
    assert log.last_lines(2) == ["two", "three"]


def test_a_line_that_never_ends_does_not_grow_without_bound(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "role.log")
    lines = [line for _ in range(10) for line in log.feed(b"x" * 5_000)]
    assert lines
    assert max(len(line) for line in lines) <= 20_000
    log.close()


def test_the_file_stays_within_its_bound_with_one_before_it(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "role.log", limit_bytes=1_000)
    for index in range(500):
        log.feed(b"%099d\n" % index)
    log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"role.log", "role.log.1"}
    assert max(sizes.values()) <= 1_100
    assert log.last_lines(1)[0].endswith("499")


def test_a_full_medium_costs_lines_of_the_file_and_nothing_else() -> None:
    log = ChildLog(Path("/dev/full"))
    assert log.feed(b"one\ntwo\n") == ["one", "two"]
    assert log.last_lines(2) == ["one", "two"]
    log.close()


def test_a_process_that_cannot_be_started_is_tried_again_like_one_that_ended(tmp_path: Path) -> None:
    said: list[str] = []

    async def main() -> None:
        thrice = asyncio.Event()

        def on_change(_role: str, what: str) -> None:
            said.append(what)
            if len(said) == 3:
                thrice.set()

        role = SupervisedRole(
            "alerts",
            [str(tmp_path / "missing")],
            tmp_path / "role.log",
            {"alerts": tmp_path / "session"},
            policy=RestartPolicy(first_ns=1, ceiling_ns=1),
            clock=SystemClock(),
            chance=lambda: 0.0,
            on_line=lambda _role, _line: None,
            on_change=on_change,
            was_ready=lambda _role: False,
        )
        running = asyncio.create_task(role.run())
        await thrice.wait()
        await role.end(running, 1.0)

    asyncio.run(main())
    assert said[0] == "could not be started (No such file or directory); starts again in 0.0 s"


def test_a_record_is_one_json_object_on_one_line() -> None:
    record = logging.LogRecord("roost_edge.x", logging.WARNING, "f", 1, "two\nlines %d", (3,), None)
    record.fields = {"request": "ab", "message": "may not replace the message"}
    line = logs.JsonLines("decoy-nest").format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "two\nlines 3"
    assert (entry["level"], entry["role"], entry["where"], entry["request"]) == (
        "warning",
        "decoy-nest",
        "roost_edge.x",
        "ab",
    )


def test_a_log_line_reads_as_a_sentence_and_foreign_text_stays_as_it_is() -> None:
    assert logs.readable('{"level":"error","message":"No.","role":"x","count":3}') == "error: No. count=3"
    assert logs.readable("Fatal Python error: Segmentation fault") == "Fatal Python error: Segmentation fault"
    assert logs.readable("[1]") == "[1]"


def test_in_a_process_of_several_roles_a_record_names_the_one_that_speaks() -> None:
    def spoken_by(role: str) -> str:
        logs.ROLE.set(role)
        record = logging.LogRecord("roost_edge.x", logging.INFO, "f", 1, "said", None, None)
        return str(json.loads(logs.JsonLines("aside").format(record))["role"])

    assert [contextvars.copy_context().run(spoken_by, name) for name in ("alerts", "")] == ["alerts", "aside"]
