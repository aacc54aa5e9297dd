"""What mended itself is counted and told, and nobody is paged for it (requirement N7)."""

import json
from types import SimpleNamespace

import pytest
from watch_world import BEGIN, DAY, HOUR, MINUTE, QUICK, SECOND

from roost_edge.alarm_desk import read
from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.watch.mending import FALLBACK, Mending
from roost_rendezvous.analytics.watch.observed import Decided, Resumed, Standing
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.monitor.watch_telling import answer


def standing(
    state: str, at: int = BEGIN, *, session: int = 1, version: str = "1", replica: int = 0, linked: int = -1
) -> Standing:
    return Standing(
        *(at, f"{at}{state}{session}{replica}", "henhouse", "champion", state, version, session, -1, -1),
        replica=replica,
        linked=linked,
    )


def decided(at: int, cause: str = "preferred", elapsed_ms: float = 100.0) -> Decided:
    answer = ("champion", "hen", 0.9, cause, elapsed_ms, 2_000, False, "", None, "1")
    return Decided(at, f"{at}r", "henhouse", f"{at:032x}", at, *answer, (), {})


def told(*heard: Standing) -> list[tuple[str, int]]:
    mending = Mending()
    for one in heard:
        mending.stands(one, one.heard)
    return [(one.what, one.total) for one in mending.told("henhouse")]


@pytest.mark.parametrize("between", [["gone", "starting", "warming"], ["starting"], []])
def test_a_model_that_its_supervisor_started_again_is_a_restart_whatever_was_heard_of_it_meanwhile(
    between: list[str],
) -> None:
    on_the_way = [standing(state, session=1 if state == "gone" else 2) for state in between]
    assert told(standing("ready"), *on_the_way, standing("ready", session=2)) == [("restarts of champion", 1)]


def test_a_session_that_was_gone_and_is_back_is_a_reconnection() -> None:
    assert told(standing("ready"), standing("gone"), standing("ready")) == [("reconnections of champion", 1)]


def test_a_failure_that_passed_without_a_restart_is_a_recovery() -> None:
    assert told(standing("ready"), standing("failed"), standing("ready")) == [("recoveries of champion", 1)]


def test_what_ended_in_order_came_as_another_version_or_only_repeated_itself_was_not_mended() -> None:
    assert told(standing("ready"), standing("stopped"), standing("ready", session=2)) == []
    assert told(standing("ready"), standing("gone"), standing("ready", session=2, version="2")) == []
    assert told(standing("ready"), standing("ready"), standing("ready")) == []


def test_replicas_of_a_model_are_not_restarts_of_each_other() -> None:
    turns = [standing("ready", session=turn % 3, replica=turn % 3 + 1) for turn in range(9)]
    assert told(*turns) == []


def test_a_link_to_the_centre_that_came_back_is_counted_and_its_first_one_is_not() -> None:
    assert told(*(standing("ready", linked=times) for times in (0, 1, 1, 3))) == [
        ("new links of champion to the centre", 2)
    ]


def test_after_the_device_was_off_everybody_is_new_and_nobody_was_mended() -> None:
    watch = Watching(QUICK)
    watch.handle(standing("ready"))
    watch.handle(Resumed(BEGIN + DAY, DAY))
    watch.handle(standing("ready", BEGIN + DAY + SECOND))  # the broker had kept it over the power cut
    watch.handle(standing("ready", BEGIN + DAY + 2 * SECOND, session=2))
    assert watch.overview("").mended == ()
    watch.handle(standing("ready", BEGIN + DAY + 3 * SECOND, session=3))
    assert [one.what for one in watch.overview("").mended] == ["restarts of champion"]


def test_a_fallback_in_time_is_counted_and_one_that_was_late_is_none() -> None:
    mending = Mending()
    for one in (decided(BEGIN), decided(BEGIN + 1, "fallback"), decided(BEGIN + 2, "fallback", 3_000.0)):
        mending.decided(one, one.heard)
    assert [(one.what, one.week) for one in mending.told("henhouse")] == [(FALLBACK, 1)]
    assert mending.told("barn") == ()


def test_a_restart_an_hour_for_a_day_opens_no_alarm_and_is_told_in_words() -> None:
    watch, notices = Watching(QUICK), []
    for hour in range(5 * 24):
        at = BEGIN + hour * HOUR
        session = max(0, hour - 4 * 24)  # on the fifth day it falls over every hour
        notices += watch.handle(standing("ready", at, session=session))
        notices += watch.handle(decided(at + MINUTE))
    assert notices == []
    [restarts] = watch.overview("henhouse").mended
    assert (restarts.what, restarts.week) == ("restarts of champion", 23)
    said = telling.mended(watch.overview("henhouse").mended)
    assert said == "Mended by itself in the last seven days, and not paged: 23 restarts of champion."


def test_the_monitors_answer_carries_it_to_whoever_asks() -> None:
    watch = Watching(QUICK)
    for turn in range(3):
        watch.handle(standing("ready", BEGIN + turn, session=turn))
    said = json.loads(json.dumps(answer(watch, SimpleNamespace(data={}))))
    assert [(one.what, one.week) for one in read(said).mended] == [("restarts of champion", 2)]
    assert read({}).mended == []


def test_nothing_to_tell_is_nothing_said() -> None:
    assert telling.mended(()) == ""


def test_a_restart_of_the_monitor_forgets_no_process_and_no_count() -> None:
    mending, other = Mending(), Mending()
    mending.stands(standing("ready"), BEGIN)
    mending.stands(standing("ready", session=2), BEGIN)
    other.restore(json.loads(json.dumps(mending.snapshot())))
    for one in (mending, other):
        one.stands(standing("ready", session=3), BEGIN + HOUR)
    assert other.told("") == mending.told("")
    assert other.told("")[0].total == 2
    assert other.tick(BEGIN + 2 * HOUR) == mending.tick(BEGIN + 2 * HOUR)
