"""A report from rows: figures, text, page. Each works on a file of rows alone (promise X9)."""

import itertools
import re
from datetime import UTC
from html import unescape

import msgspec
import pytest
from faces_samples import START, episode, rows

from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.comparison.row_files import parse_csv
from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.faces.document import document
from roost_rendezvous.analytics.faces.gathering import gather
from roost_rendezvous.analytics.faces.markup import Html
from roost_rendezvous.analytics.faces.standing import how_strange, standing_table
from roost_rendezvous.analytics.faces.terminal import render, spark, standing_lines, upright
from roost_rendezvous.analytics.faces.trend import trend
from roost_rendezvous.analytics.faces.values import Histogram, Rate, Report, TaskReport
from roost_rendezvous.analytics.rows import Row, Word


@pytest.fixture(scope="module")
def made() -> Report:
    found = rows()
    return gather(lambda: found, source="rows.jsonl", made_at=0)


@pytest.fixture
def task(made: Report) -> TaskReport:
    return made.tasks[0]


def test_it_says_whether_every_request_was_answered_in_time(task: TaskReport) -> None:
    assert (task.service.requests, task.service.in_time, task.service.by_model) == (600, 599, 593)
    said = telling.service(task.service)
    assert said.startswith("99.83 % of 600 requests were answered in time; 1 did not.")
    assert "6 of the answers were the safe default" in said


def test_a_model_has_its_answers_times_and_room(task: TaskReport) -> None:
    champion, fast = task.models
    assert (champion.model, champion.answered, champion.declined, champion.versions) == (
        "champion",
        588,
        12,
        ("3", "4"),
    )
    assert champion.half_ms == pytest.approx(45, rel=0.06)
    assert fast.busy == pytest.approx(6_000 / 60_000, rel=0.1)
    assert telling.room(fast) == "10.0 × as many"
    assert fast.agrees is not None
    assert 0.3 < fast.agrees < 1


def test_a_new_version_is_marked_and_its_scores_are_seen_to_change(made: Report, task: TaskReport) -> None:
    assert [mark.text for mark in made.marks] == ["champion 4 came"]
    hen = next(one for one in task.scores if one.name == "Score of hen by champion")
    assert hen.periods[0].half == pytest.approx(0.8, abs=0.1)
    assert hen.periods[-1].half == pytest.approx(0.5, abs=0.1)
    assert all(one.low <= one.quarter <= one.half <= one.three <= one.high for one in hen.periods)


def test_the_same_from_a_csv_without_times_or_outcomes() -> None:
    lines = ["request_id,old,new", *(f"{nth},{nth / 100},{(nth / 100) ** 2}" for nth in range(100))]
    found = gather(lambda: parse_csv(lines), source="scores.csv", made_at=0)
    (task,) = found.tasks
    assert task.service.attained is None
    assert {one.model for one in task.models} == {"old", "new"}
    assert "row" in render(found, zone=UTC)
    assert "not known" in telling.service(task.service)
    assert "<svg" in document(found, style="", zone=UTC)


def test_nothing_in_the_file_is_said() -> None:
    found = gather(lambda: [], source="empty.jsonl", made_at=0)
    assert "There are no requests." in render(found)
    assert "There are no requests." in document(found, style="", zone=UTC)


def test_a_period_can_be_chosen(made: Report) -> None:
    found = rows()
    half = gather(lambda: found, source="x", made_at=0, since=START + 300 * 60 * 10**9)
    assert half.tasks[0].service.requests == 300
    assert made.tasks[0].service.requests == 600


def test_the_text_is_as_wide_as_asked_and_holds_no_control_characters(made: Report) -> None:
    bad = Report(source="a\x1b[2Jb", made_at=0, since=START, until=START + 1, tasks=made.tasks, alarms=(episode(),))
    text = render(bad, width=80, zone=UTC)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 140
    assert "the model changed: hens score 0.5" in text
    assert text.index("henhouse/score/champion/hen") < text.index("henhouse/rate/answers/hen")  # the culprit first
    assert "because the canary saw nothing" in text


def test_the_page_needs_nothing_else_and_escapes_what_came_from_outside(made: Report) -> None:
    bad = Report(source="<script>alert(1)</script>", made_at=0, since=made.since, until=made.until, tasks=made.tasks)
    page = document(bad, style="body { color: red }", zone=UTC)
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "default-src 'none'" in unescape(page)
    assert page.count("<figure") == page.count("</figure>") > 5


def test_blocks_show_a_curve_with_gaps() -> None:
    assert spark([0, 1, None, 7], 10, low=0, high=7) == "▁▂ █"
    assert spark([1.0] * 100, 10) == "▄" * 10
    assert spark([], 10) == ""


def test_a_histogram_of_blocks_shows_a_second_hill() -> None:
    found = Histogram(edges=(1, 2, 4, 8, 16, 32), counts=(5, 1_000, 0, 0, 10))
    lines = upright(found, 60)
    bottom = lines[-2][26:]
    assert re.fullmatch(r"[▁-█]{6} {6}[▁-█]{3}", bottom)
    assert lines[0].rstrip()[26:].count(" ") >= 3  # the second hill does not reach the top
    assert lines[-1].split() == ["1", "ms", "32", "ms"]


def test_traffic_that_grows_is_told_from_traffic_that_holds() -> None:
    def periods(first: int, second: int) -> list[Rate]:
        hour = 3_600 * 10**9
        counts = [first + nth % 3 for nth in range(48)] + [second + nth % 3 for nth in range(49)]
        return [Rate(start=nth * hour, end=(nth + 1) * hour, seen=one) for nth, one in enumerate(counts)]

    assert "grows: +5" in telling.trend(trend(periods(100, 150)))
    assert telling.trend(trend(periods(100, 100))).startswith("Traffic holds")
    assert trend(periods(100, 100)[:5]) is None


def standing(nines: float | None, side: str = "data", why: str = "") -> SignalStanding:
    watch = "not-enough-history" if why else "watched"
    about = {"kind": "score", "subject": "model", "side": side, "watch": watch, "why_not": why}
    return SignalStanding(signal=f"nest/{side}/{nines}", nines=nines, normal=0.8, now=0.5, **about)  # type: ignore[arg-type]  # literals


def test_data_and_operation_stand_in_one_view_the_strangest_first() -> None:
    signals = [standing(0.1), standing(3.2), standing(None, "operational", "not enough history: 2 of 7 days")]
    shown = standing_table(signals, UTC)
    shown = Html(shown.replace("<wbr>", ""))
    assert shown.index("nest/data/3.2") < shown.index("nest/data/0.1") < shown.index("Operation")
    assert "stranger than 999 of 1,000" in shown
    assert "not enough history: 2 of 7 days" in shown
    assert ">learning<" in shown
    assert "1 of 1 have too little history" in shown


def test_signals_that_still_learn_are_one_sentence_and_the_others_can_be_seen() -> None:
    why = "not enough history: 2 of 200 values"
    learning = [msgspec.structs.replace(standing(None, why=why), signal=f"nest/new/{nth}") for nth in range(40)]
    lines = list(standing_lines([standing(0.5), *learning]))
    assert [line for line in lines if "nest/data/0.5" in line] == ["  nest/data/0.5: now 0.5, normal 0.8: usual"]
    (said,) = (line for line in lines if "nest/new" in line)
    assert "40 of 41 have too little history" in said
    assert "nest/new/0, nest/new/1" in said
    assert said.endswith("more.")
    assert len(lines) == 4


def late_and_absent() -> list[Row]:
    """Ten requests: in three the answer came after the result; in one the official model's word is not there."""
    found = []
    for nth in range(10):
        outcome = "late" if nth < 3 else "absent" if nth == 9 else "answered"
        scores = {} if outcome == "absent" else {"hen": 0.9}
        word = Word(model="champion", outcome=outcome, scores=scores)  # type: ignore[arg-type]  # one of the literals
        by = "" if outcome == "late" else "champion"
        cause = "preferred" if by else "default"
        asked = {"at": START + nth * 10**9, "deadline_ms": 900, "elapsed_ms": 9.0}
        found.append(Row(request_id=f"{nth}", task="nest", words=(word,), answered_by=by, cause=cause, **asked))
    return found


def test_counts_that_seem_to_disagree_say_what_they_count() -> None:
    (task,) = gather(late_and_absent, source="s", made_at=0).tasks
    (champion,) = task.models
    cells = dict(zip(telling.MODEL_HEADS, telling.model_line(champion), strict=True))
    assert (cells["answered"], cells["of these after the result"]) == ("9 of 10", "3")
    assert (cells["official"], cells["not answered"]) == ("7", "1 absent")
    said = " ".join(telling.models_explained(task.models))
    assert "More official than answered before the result (champion 1)" in said
    assert "Absent: neither an answer nor a refusal" in said
    text = render(gather(late_and_absent, source="s", made_at=0), zone=UTC)
    page = document(gather(late_and_absent, source="s", made_at=0), style="", zone=UTC)
    assert "More official than answered before the result (champion 1)" in text
    assert "More official than answered before the result (champion 1)" in page


def test_a_plain_table_says_no_more_than_what_its_heads_mean(task: TaskReport) -> None:
    assert list(telling.models_explained(task.models)) == [
        "Answered: before or after the result. Official: results that name the model."
    ]


def test_scores_of_the_second_half_stand_beside_those_of_the_first_quantile_by_quantile(task: TaskReport) -> None:
    hen = next(one for one in task.halves if one.name == "score of hen by champion")
    first, second = hen.points[len(hen.points) // 2]
    assert (first, second) == (pytest.approx(0.8, abs=0.02), pytest.approx(0.5, abs=0.02))
    assert all(left[0] <= right[0] and left[1] <= right[1] for left, right in itertools.pairwise(hen.points))


def test_with_too_few_scores_in_a_half_there_is_no_such_picture() -> None:
    made = gather(lambda: rows(50), source="s", made_at=0)
    assert made.tasks[0].halves == ()


def test_a_thousand_signals_are_cut_to_the_strangest_and_counted() -> None:
    shown = standing_table([standing(nth / 1_000) for nth in range(1_000)], UTC, most=30)
    assert shown.count("<tr") == 31
    assert "970 more are watched" in shown
    assert how_strange(standing(0.5)) == "usual"
