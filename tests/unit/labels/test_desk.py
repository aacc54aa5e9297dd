"""The review desk over a centre's archive: pictures, judgements that last, suggestions that reached the centre."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_broker.centre.envelope import Envelope
from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import FrameUnavailable, Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Answer, Input, Output, Request, Result, Score, Suggestion, encode
from roost_models.archive.cases import open_cases
from roost_models.central.staging import Staging
from roost_models.labels.desk import Desk, Period
from roost_models.labels.store import LabelStore

AT = 1_800_000_000_000
ASKED = "1" * 32


def sent(topic: str, payload: bytes, lane: str, seq: int, at: int = AT) -> Envelope:
    return Envelope(topic, payload, "coop-1", "e" * 32, lane, seq, at, stored_ms=at)  # type: ignore[arg-type]  # a lane


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One case whose answer the canary disagrees with, and what a passer-by suggests about it."""
    root = tmp_path / "archive"
    ref = FrameStore(root / "frames").put(b"a picture", width=1, height=1)
    base = "roost/coop-1/nest"

    def score(number: int, model: str, label: str) -> bytes:
        outputs = [Output(label=label, score=0.9)]
        return encode(
            Score(
                timestamp=AT,
                message_id=f"{number:032x}",
                request_id=ASKED,
                model=model,
                version="1",
                outputs=outputs,
            )
        )

    request = Request(
        timestamp=AT,
        message_id="2" * 32,
        request_id=ASKED,
        return_address=f"{base}/results/cam",
        deadline_ms=2000,
        input=Input(frame=ref),
    )
    result = Result(
        timestamp=AT,
        message_id="3" * 32,
        request_id=ASKED,
        cause="preferred",
        answer=Answer(model="champion", version="1", label="hen", score=0.9),
        elapsed_ms=5,
        sla_ms=2000,
    )
    said = Suggestion(timestamp=AT, message_id="4" * 32, request_id=ASKED, label="jay", author="passer-by")
    staging = Staging(root)
    staging.put(
        [
            sent(f"{base}/input", encode(request), "inputs", 1),
            sent(f"{base}/scores/canary", score(5, "canary", "egg"), "scores", 1),
            sent(f"{base}/scores/champion", score(6, "champion", "hen"), "scores", 2),
            sent(f"{base}/results/cam", encode(result), "results", 1),
            sent(f"{base}/suggestions", encode(said), "extras", 1),
            sent(f"{base}/suggestions", b"nonsense", "extras", 2),
            sent(f"{base}/traces", encode(said), "extras", 3),
        ]
    )
    staging.close()
    return root


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def desk(archive: Path, store: LabelStore, clock: VirtualClock) -> Iterator[Desk]:
    cases = open_cases(archive)
    yield Desk(store, cases, FrameStore(archive / "frames"), task="nest", clock=clock)
    cases.close()


def test_a_case_of_the_centre_is_asked_with_its_suggestion_which_is_taken_up_once(
    desk: Desk, store: LabelStore
) -> None:
    for _ in range(2):
        (question,) = desk.queue("anna").questions
        assert [why.kind for why in question.whys] == ["suggestion", "canary-disagrees"]
        assert question.candidate.node == "coop-1"
    assert [entry.origin for entry in store.entries()] == ["suggestion:unknown"]
    assert desk.labels(desk.queue("anna")) == ["egg", "hen", "jay"]


def test_a_judgement_knows_request_device_site_and_time_of_its_picture(desk: Desk, store: LabelStore) -> None:
    (question,) = desk.queue("anna").questions
    entry = desk.judge(question.candidate.picture, "anna", "label", "jay", "blue")
    assert (entry.request_id, entry.node, entry.site, entry.taken) == (ASKED, "coop-1", "coop-1", AT)
    assert desk.queue("bert").questions == ()
    assert desk.told() == {"judged": 1, "conflicts": 0, "pending": 0}
    desk.undo(entry.id, "anna")
    assert len(desk.queue("bert").questions) == 1


def test_a_clock_that_was_set_back_does_not_make_an_older_judgement_win(desk: Desk, clock: VirtualClock) -> None:
    picture = desk.queue("anna").questions[0].candidate.picture
    desk.judge(picture, "anna", "label", "hen")
    clock.step_wall(-86_400 * SECOND)
    desk.judge(picture, "anna", "label", "egg")
    assert desk.history(picture)[-1].at > desk.history(picture)[-2].at


def test_a_picture_that_is_gone_is_not_asked_and_cannot_be_judged(desk: Desk, archive: Path) -> None:
    picture = desk.queue("anna").questions[0].candidate.picture
    FrameStore(archive / "frames").remove(picture)
    found = desk.queue("anna")
    assert (found.questions, found.gone) == ((), 1)
    for work in (lambda: desk.judge(picture, "anna", "label", "hen"), lambda: desk.picture(picture)):
        with pytest.raises(FrameUnavailable):
            work()
    assert [entry.kind for entry in desk.history(picture)] == []


def test_what_a_person_cannot_decide_is_refused(desk: Desk) -> None:
    picture = desk.queue("anna").questions[0].candidate.picture
    for kind, label in (("suggestion", "hen"), ("withdrawn", None), ("label", None), ("skip", "hen")):
        with pytest.raises(Misuse):
            desk.judge(picture, "anna", kind, label)  # type: ignore[arg-type]  # what a caller might try


def test_a_picture_of_another_archive_is_kept_by_the_centre_once_it_is_judged(
    archive: Path, store: LabelStore, tmp_path: Path
) -> None:
    own = FrameStore(tmp_path / "centre")
    cases = open_cases(archive)
    desk = Desk(store, cases, own, task="nest", clock=VirtualClock())
    picture = desk.queue("anna").questions[0].candidate.picture
    assert list(own) == []
    desk.judge(picture, "anna", "not-usable", reason="dark")
    assert own.path(picture).read_bytes() == b"a picture"
    cases.close()


def test_only_the_newest_cases_of_the_period_are_looked_at(archive: Path, store: LabelStore) -> None:
    cases = open_cases(archive)
    for period, looked_at in ((Period(), 1), (Period(from_ms=AT + 1), 0), (Period(nodes=frozenset({"x"})), 0)):
        desk = Desk(store, cases, FrameStore(archive / "frames"), task="nest", clock=VirtualClock(), period=period)
        assert desk.queue().looked_at == looked_at
    cases.close()
