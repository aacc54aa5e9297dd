"""A report from the ten-minute windows that a monitor keeps on the card."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from faces_samples import HOUR, START, rows

from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.faces.document import document
from roost_rendezvous.analytics.faces.from_windows import report_of, step_of
from roost_rendezvous.analytics.faces.terminal import render
from roost_rendezvous.analytics.faces.values import Report
from roost_rendezvous.analytics.sketches.asking import SketchReader
from roost_rendezvous.analytics.sketches.book import SketchBook
from roost_rendezvous.analytics.sketches.qualifiers import qualifiers
from roost_rendezvous.analytics.sketches.store import SketchStore

SECOND = 10**9


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SketchReader]:
    path = tmp_path_factory.mktemp("windows") / "sketches.db"
    store, book = SketchStore(path), SketchBook()
    for row in rows(600):
        if row.elapsed_ms is not None:
            book.add(qualifiers(row.task, "latency"), row.elapsed_ms, row.at, row.at)
        book.add(qualifiers(row.task, "answer", label=row.label), 0.9, row.at, row.at)
        for word in row.words:
            about = {"model": word.model, "version": word.version}
            for label, score in word.scores.items():
                book.add(qualifiers(row.task, "score", label=label, **about), score, row.at, row.at)
            for kind, ms in (("latency", word.elapsed_ms), ("compute", word.compute_ms)):
                if ms is not None:
                    book.add(qualifiers(row.task, kind, **about), ms, row.at, row.at)
        store.put(book.tick(row.at))
    store.put(book.close())
    store.close()
    opened = SketchReader(path)
    yield opened
    opened.close()


@pytest.fixture
def made(reader: SketchReader) -> Report:
    span = reader.span()
    assert span is not None
    return report_of(reader, *span, source="coop-1", made_at=0, deadlines={"henhouse": 2_000})


def test_requests_in_time_models_and_labels_are_those_of_the_rows(made: Report) -> None:
    (task,) = made.tasks
    assert (task.service.requests, task.service.in_time) == (600, 599)
    champion = next(one for one in task.models if one.model == "champion")
    assert (champion.answered, champion.versions) == (588, ("3", "4"))
    assert champion.half_ms == pytest.approx(45, rel=0.06)
    fast = next(one for one in task.models if one.model == "fast")
    assert fast.busy == pytest.approx(0.1, rel=0.05)
    assert sum(task.labels.values()) == 600


def test_the_halves_of_the_time_stand_beside_each_other(made: Report) -> None:
    (task,) = made.tasks
    found = {one.name: one.points[len(one.points) // 2] for one in task.halves}
    assert found["score of hen by champion"] == (pytest.approx(0.8, abs=0.05), pytest.approx(0.5, abs=0.05))
    assert found["score of hen by fast"] == (pytest.approx(0.9), pytest.approx(0.9))


def test_the_new_version_is_marked_where_it_began_and_scores_change_there(made: Report) -> None:
    (mark,) = made.marks
    assert mark.text == "champion 4 came"
    assert mark.at == pytest.approx(START + 5 * HOUR, abs=HOUR / 3)
    hen = next(one for one in made.tasks[0].scores if one.name == "Score of hen by champion")
    assert hen.periods[0].half == pytest.approx(0.8, abs=0.1)
    assert hen.periods[-1].half == pytest.approx(0.5, abs=0.1)


def test_without_a_deadline_nothing_is_claimed(reader: SketchReader) -> None:
    span = reader.span()
    assert span is not None
    found = report_of(reader, *span, source="coop-1", made_at=0, deadlines={})
    assert found.tasks[0].service.attained is None


def test_a_period_without_anything_has_no_tasks(reader: SketchReader) -> None:
    assert report_of(reader, 600, 1_200, source="coop-1", made_at=0, deadlines={}).tasks == ()


def test_with_one_window_it_is_said_that_there_is_one_and_when_there_will_be_more(reader: SketchReader) -> None:
    span = reader.span()
    assert span is not None
    first = (span[0], span[0] + 600)
    young = report_of(reader, *first, source="coop-1", made_at=first[1] * SECOND, deadlines={})
    begin = datetime.fromtimestamp(first[0], UTC)
    said = telling.one_period(young, UTC)
    assert f"one period with requests yet, {begin:%Y-%m-%d %H:%M} to {begin + timedelta(minutes=10):%H:%M}" in said
    assert said.endswith(f"The next one is complete at {begin + timedelta(minutes=20):%H:%M}, if requests come.")
    assert said in render(young, zone=UTC)
    assert said in document(young, style="", zone=UTC)
    old = report_of(reader, *first, source="coop-1", made_at=span[1] * SECOND, deadlines={})
    assert "The next one" not in telling.one_period(old, UTC)


def test_with_many_windows_nothing_is_said_of_one(made: Report) -> None:
    assert telling.one_period(made, UTC) == ""


def test_windows_do_not_pretend_to_know_what_was_asked(made: Report) -> None:
    champion = next(one for one in made.tasks[0].models if one.model == "champion")
    cells = dict(zip(telling.MODEL_HEADS, telling.model_line(champion), strict=True))
    assert (cells["answered"], cells["official"], cells["not answered"]) == ("588", "–", "–")


def test_steps_grow_with_the_time_and_never_beyond_what_can_be_drawn() -> None:
    for days in (0.1, 1, 7, 30, 90, 400):
        seconds = round(days * 86_400)
        assert seconds / step_of(seconds) <= 241
        assert step_of(seconds) % 600 == 0
