"""Who of a flock is started, ended or left alone: times are arguments, and nothing is forked."""

import pytest

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_edge.flock.keeping import End, Keeping, Start
from roost_edge.processes.restart import RestartPolicy

POLICY = RestartPolicy(first_ns=100 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0)
MB = 1_000_000


def flock(*, watchdog_ns: int = 0) -> Keeping:
    limits = {"champion": 100 * MB, "fast": 50 * MB}
    return Keeping(limits, POLICY, now=0, watchdog_ns=watchdog_ns, abort_ns=5 * SECOND)


def begun(*, watchdog_ns: int = 0) -> Keeping:
    keeping = flock(watchdog_ns=watchdog_ns)
    for name in ("champion", "fast"):
        keeping.started(name, 0)
    return keeping


def test_all_are_started_at_once_in_their_order() -> None:
    keeping = flock()
    assert keeping.due(0) == [Start("champion"), Start("fast")]
    keeping.started("champion", 0)
    assert keeping.due(0) == [Start("fast")]


def test_who_ends_is_started_again_later_and_later_and_the_others_are_left_alone() -> None:
    keeping = begun()
    assert keeping.ended("fast", SECOND, 0) == pytest.approx(0.1)
    assert keeping.due(SECOND) == []
    assert keeping.next_ns() == SECOND + 100 * MS
    assert keeping.due(SECOND + 100 * MS) == [Start("fast")]
    keeping.started("fast", SECOND + 100 * MS)
    assert keeping.ended("fast", SECOND + 100 * MS, 0) == pytest.approx(0.2)


def test_who_is_silent_for_too_long_is_aborted_and_then_killed_and_who_speaks_is_not() -> None:
    keeping = begun(watchdog_ns=SECOND)
    keeping.heard("champion", ["WATCHDOG=1"], 900 * MS)
    assert keeping.due(999 * MS) == []
    (end,) = keeping.due(SECOND)
    assert isinstance(end, End)
    assert (end.name, end.how) == ("fast", "abort")
    keeping.heard("champion", ["WATCHDOG=1"], 5 * SECOND + 900 * MS)
    assert keeping.due(5 * SECOND + 900 * MS) == []
    (end,) = keeping.due(6 * SECOND)
    assert isinstance(end, End)
    assert (end.name, end.how) == ("fast", "kill")
    keeping.heard("champion", ["WATCHDOG=1"], 60 * SECOND)
    assert keeping.due(60 * SECOND) == []


def test_where_nobody_watches_silence_is_nothing() -> None:
    keeping = begun()
    assert keeping.due(3_600 * SECOND) == []
    assert keeping.next_ns() is None
    assert keeping.stuck(3_600 * SECOND) == ""


def test_who_takes_more_memory_than_it_may_is_killed_once() -> None:
    keeping = begun()
    assert keeping.measured("champion", 100 * MB) is None
    end = keeping.measured("fast", 50 * MB + 1)
    assert end is not None
    assert (end.name, end.how) == ("fast", "kill")
    assert keeping.measured("fast", 60 * MB) is None


def test_the_flock_is_ready_when_each_was_ready_or_has_ended_once() -> None:
    keeping = begun()
    keeping.heard("champion", ["STATUS=ready: x", "READY=1"], 0)
    assert not keeping.ready
    keeping.ended("fast", SECOND, 0)
    assert keeping.ready
    assert keeping.status == "champion ready, fast failed"
    keeping.started("fast", 2 * SECOND)
    assert keeping.ready
    assert keeping.status == "champion ready, fast starting"


def test_a_member_that_not_even_force_has_ended_stops_the_pings() -> None:
    keeping = begun(watchdog_ns=SECOND)
    keeping.heard("champion", ["WATCHDOG=1"], 7 * SECOND)
    assert keeping.stuck(7 * SECOND) == ""
    assert "fast hangs" in keeping.stuck(7 * SECOND + 1)
    keeping.ended("fast", 8 * SECOND, 0)
    assert keeping.stuck(8 * SECOND) == ""


def test_a_flock_of_none_and_a_watchdog_of_the_past_are_refused() -> None:
    with pytest.raises(Misuse, match="at least one"):
        Keeping({}, POLICY, now=0)
    with pytest.raises(Misuse, match="below 0"):
        Keeping({"a": 1}, POLICY, now=0, watchdog_ns=-1)
