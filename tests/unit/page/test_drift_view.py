"""What the page says of alarms and of what is watched, what it counts for a scraper, and who may read that."""

import re
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_broker.messages import Alarms, AlarmSignal, Answer, ModelOutcome, ModelState, OpenAlarm, Result
from roost_edge.alarm_desk import Answer as Said
from roost_edge.alarm_desk import catching_up, read
from roost_edge.page import scraper_token
from roost_edge.page.measuring import Measured
from roost_edge.page.view import View
from roost_edge.page.views import drift, now
from roost_edge.page.views.frame import Frame
from roost_edge.page.views.markup import breakable
from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.faces import openmetrics
from roost_rendezvous.monitor import standing_answer
from roost_rendezvous.monitor.watch_telling import answer_before

NOW = 1_800_000_000_000
HEAD: dict[str, Any] = {"timestamp": NOW, "message_id": "a" * 32}
FRAME = Frame("coop-1", "1", form="a-token", password=True)
ALARM = OpenAlarm(
    alarm_id="ab12",
    task="nest",
    verdict="model",
    sentence="hens score less",
    opened_at=NOW - 3_600_000,
    updated_at=NOW,
    nines=3.3,
    reasons=["the canary saw nothing"],
    signals=[
        AlarmSignal(name="nest/score/champion/hen", share=0.8, sentence="<i>hens</i> score 0.5, usually 0.8"),
        AlarmSignal(name="nest/rate/hen", share=0.2),
    ],
)


def lists(*found: OpenAlarm) -> dict[str, Alarms]:
    return {"nest": Alarms(**HEAD, task="nest", open=list(found), signals=9, able=5, why_not="")}


def test_an_open_alarm_has_its_verdict_its_culprit_first_and_a_button() -> None:
    shown = drift.alarms(FRAME, lists(ALARM), None, NOW, UTC)
    assert "the model changed" in shown
    shown = shown.replace("<wbr>", "")
    assert shown.index("nest/score/champion/hen:") < shown.index("nest/rate/hen:")
    assert "because the canary saw nothing" in shown
    assert "<i>hens" not in shown
    assert 'name="alarm" value="ab12"' in shown
    assert 'name="form" value="a-token"' in shown
    assert "5 of 9 watched signals have enough history" in shown


def test_without_a_session_there_is_no_button() -> None:
    shown = drift.alarms(Frame("coop-1", "1"), lists(ALARM), None, NOW, UTC)
    assert "<button" not in shown
    assert "only shows" in shown


def test_no_alarm_and_no_monitor_are_two_things() -> None:
    assert "No alarm in this time" in drift.alarms(FRAME, lists(), None, NOW, UTC)
    assert "said nothing yet" in drift.alarms(FRAME, {}, None, NOW, UTC)


def test_while_nothing_could_be_an_alarm_yet_the_page_says_that_it_learns_and_why() -> None:
    learning = {
        task: Alarms(**HEAD, task=task or None, signals=9, able=able, why_not="not watched long enough: 2 of 48 hours")
        for task, able in (("", 0), ("nest", 4))
    }
    shown = drift.alarms(FRAME, learning, None, NOW, UTC)
    assert "There can be no alarm yet." in shown
    assert "learns what is usual here (not watched long enough: 2 of 48 hours)" in shown
    assert "No alarm in this time" not in shown
    one_is_able = learning | {"nest": lists()["nest"]}
    assert "There can be no alarm yet." not in drift.alarms(FRAME, one_is_able, None, NOW, UTC)


def test_only_what_is_watched_long_enough_and_has_no_open_alarm_is_called_well() -> None:
    knows, learns = lists()["nest"], Alarms(**HEAD, signals=9, why_not="not watched long enough: 2 of 48 hours")
    whole = Alarms(**HEAD, signals=9, able=9)
    for said, grade in (({}, "well"), ({"nest": whole}, "well"), ({"": learns}, "learning"), (lists(ALARM), "alarm")):
        shown = now.wellness([], said)
        assert f">{grade}<" in shown
        assert (">well<" in shown) == (grade == "well")
    assert "still learn" not in now.wellness([], {"nest": whole})
    assert "4 of the watched signals still learn what is usual" in now.wellness([], {"nest": knows})
    assert ">well<" not in drift.alarms(FRAME, {"": learns}, None, NOW, UTC)


def test_what_the_whole_device_and_its_one_task_say_alike_is_said_once() -> None:
    one = lists()["nest"]
    assert drift.alarms(FRAME, {"": one, "nest": one}, None, NOW, UTC).count("5 of 9 watched signals") == 1
    other = Alarms(**HEAD, task="yard", signals=3, able=3)
    shown = drift.alarms(FRAME, {"nest": one, "yard": other}, None, NOW, UTC)
    assert "nest: 5 of 9 watched signals" in shown
    assert "yard: 3 of 3 watched signals" in shown
    waits = Alarms(**HEAD, signals=9, able=5, why_not="not watched long enough", open=[ALARM])
    assert "for an alarm. not watched long enough" in drift.alarms(FRAME, {"": waits}, None, NOW, UTC)
    quiet = Alarms(**HEAD, signals=9, able=5, why_not="not watched long enough")
    assert drift.alarms(FRAME, {"": quiet}, None, NOW, UTC).count("not watched long enough") == 1


def learning(count: int) -> Said:
    told = [
        {"signal": f"nest/score/champion/hen{nth:03}", "watch": "not-enough-history", "whyNot": f"{nth} of 7 days"}
        for nth in range(count)
    ]
    return read({"alarms": [], "signals": count, "able": 0, "standing": told})


def test_signals_that_still_learn_are_one_sentence_with_the_first_names_and_the_rest_is_folded() -> None:
    shown = drift.watched(learning(40), "", UTC).replace("<wbr>", "")
    before, _, folded = shown.partition("<details>")
    assert "40 of 40 have too little history to be judged" in before
    assert "nest/score/champion/hen000, nest/score/champion/hen001, nest/score/champion/hen002 and 37 more" in before
    assert "<table" not in before
    assert folded.count("<tr") == 41  # the head, and every one of them
    assert "39 of 7 days" in folded


def test_a_signal_that_is_judged_is_not_folded_away_among_those_that_learn() -> None:
    loud = {"signal": "nest/rate/requests", "nines": 4.0}
    said = read(
        {"alarms": [], "signals": 700, "able": 1, "standing": [loud, *map(msgspec.to_builtins, learning(9).standing)]}
    )
    before, _, folded = drift.watched(said, "", UTC).replace("<wbr>", "").partition("<details>")
    assert "stranger than 9,999 of 10,000" in before
    assert "nest/rate/requests" not in folded
    assert "690 more signals are watched; usual, or not known for long enough." in folded


def test_names_may_wrap_between_their_pieces_and_nowhere_else() -> None:
    assert breakable("nest/in-put/a.b_c") == "nest/<wbr>in-<wbr>put/<wbr>a.<wbr>b_c"
    assert breakable("champion 0.1.0/canary band") == "champion 0.1.0/<wbr>canary band"
    for whole in ("2026-11-21 14:40", "0.5 of 1/2", "from -3", "well. So"):
        assert breakable(whole) == whole
    assert breakable("<i>a</i>") == "&lt;i&gt;a&lt;/i&gt;"
    assert "nest/<wbr>score/<wbr>champion/<wbr>hen:" in drift.alarms(FRAME, lists(ALARM), None, NOW, UTC)
    assert "nest/<wbr>score/<wbr>champion/<wbr>hen000" in drift.watched(learning(1), "", UTC)


def test_everything_that_is_watched_comes_over_the_wire_bounded_and_whole() -> None:
    signals = [
        SignalStanding(
            signal=f"nest/score/{'x' * 200}{nth}", task="nest", kind="score", subject="model", nines=4.0,
            normal=0.81234567, now=0.5, sentence="y" * 900, at=NOW * 10**6,
        )
        for nth in range(1_000)
    ]  # fmt: skip
    told = standing_answer.told(signals)
    said = read({"alarms": [], "signals": 1_000, "able": 1_000, "standing": told})
    assert len(said.standing) == standing_answer.MOST
    assert said.standing[0].normal == pytest.approx(0.8123)
    assert len(openmetrics.render([])) < sum(map(len, map(str, told))) < 100_000
    shown = drift.watched(said, "", UTC)
    assert "840 more signals are watched" in shown
    assert "stranger than 9,999 of 10,000" in shown
    assert standing_answer.told(signals, "elsewhere") == []


@pytest.mark.parametrize("said", [Said(caught_up=False, behind=1_234), read(answer_before(1_234))])
def test_while_the_monitor_catches_up_the_page_says_that_the_present_is_not_known(said: Said) -> None:
    assert "catching up: 1,234 observations" in drift.alarms(FRAME, lists(), said, NOW, UTC)
    assert "catching up" not in drift.alarms(FRAME, lists(), Said(), NOW, UTC)
    assert "catching up; what is open now" in catching_up(read(answer_before(0)))


def test_when_the_monitor_does_not_answer_the_page_says_why() -> None:
    assert "did not answer" in drift.watched(None, "The monitor did not answer within 3 s.", UTC)
    assert "not enough history" in drift.watched(Said(why_not="not enough history: 1 of 7 days"), "", UTC)


def result(nth: int, **changed: Any) -> Result:
    answer = Answer(model="champion", version="1", label="hen", score=0.9)
    models = [
        ModelOutcome(model="champion", version="1", status="answered", elapsed_ms=40.0),
        ModelOutcome(model="slow", version="1", status="pending"),
    ]
    whole: dict[str, Any] = {
        "cause": "preferred",
        "elapsed_ms": 50.0,
        "sla_ms": 2_000,
        "answer": answer,
        "models": models,
    }
    head = {"timestamp": NOW, "message_id": f"{nth:032x}", "request_id": f"{nth:032x}"}
    return Result(**head, **{**whole, **changed})  # type: ignore[arg-type]  # the test's own


def test_results_are_counted_once_each_however_often_they_are_delivered() -> None:
    measured, view = Measured(0), View(("nest",), ())
    for nth in (1, 2, 2, 1, 3):
        measured.take(result(nth, elapsed_ms=3_000.0 if nth == 3 else 50.0), "nest")
    text = openmetrics.render(measured.families(view, "1"))
    assert 'roost_results_total{task="nest",cause="preferred"} 3.0' in text
    assert 'roost_results_late_total{task="nest"} 1.0' in text
    assert 'roost_answers_total{task="nest",model="champion",label="hen"} 3.0' in text
    assert 'roost_model_outcomes_total{task="nest",model="slow",status="pending"} 3.0' in text
    assert 'roost_model_duration_seconds_count{task="nest",model="champion"} 3' in text


def test_open_alarms_are_told_by_verdict() -> None:
    view = View(("nest",), ())
    view.take(lists(ALARM)["nest"], "nest")
    text = openmetrics.render(Measured(0).families(view, "1"))
    assert 'roost_alarms_open{task="nest",verdict="model"} 1.0' in text
    assert 'roost_alarms_open{task="nest",verdict="world"} 0.0' in text
    assert 'roost_alarm_nines{task="nest"} 3.3' in text
    assert 'roost_watched_signals{task="nest",able="no"} 4.0' in text


def test_a_thousand_models_are_all_known_and_told() -> None:
    view = View(("nest",), ())
    for nth in range(3_000):
        view.take(ModelState(**HEAD, model=f"m{nth}", state="ready", session=1), "nest")
    assert len(view.models) == 2_000
    text = openmetrics.render(Measured(0).families(view, "1"))
    assert len(re.findall(r"^roost_model_ready\{", text, re.MULTILINE)) == 2_000


def test_a_token_is_known_by_its_hash_alone_and_ends_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "page" / "metrics-token"
    assert not scraper_token.is_token(path, "Bearer x")
    first = scraper_token.make(path)
    assert path.stat().st_mode & 0o077 == 0
    assert first not in path.read_text(encoding="ascii")
    assert scraper_token.is_token(path, f"Bearer {first}")
    for wrong in ("", first, f"Basic {first}", f"Bearer {first}x", "Bearer ", "Bearer " + "x" * 5_000):
        assert not scraper_token.is_token(path, wrong)
    second = scraper_token.make(path)
    assert not scraper_token.is_token(path, f"Bearer {first}")
    assert scraper_token.is_token(path, f"bearer {second}")
