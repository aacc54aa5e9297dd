"""A device's archive as rows: every model's word, the official answer, and never another input (promises D7, E1)."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import (
    Answer,
    Declined,
    FrameRef,
    Input,
    Issued,
    Message,
    ModelOutcome,
    Output,
    Request,
    Result,
    Score,
    encode,
)
from roost_edge.cli import main
from roost_models.archive.cases import open_cases
from roost_models.archive.writing import Archive, Item
from roost_models.comparison.rows import rows
from roost_models.inference.images import encode_png
from roost_rendezvous.analytics.comparison.choosing import choice
from roost_rendezvous.analytics.comparison.joining import join
from roost_rendezvous.analytics.rows import Row

START_MS = 1_700_000_000_000
BOOT = "b" * 32


PICTURE = encode_png(np.full((12, 16, 3), 90, np.uint8))
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def request(number: int, *, attempt: int = 1, door: str = "open") -> Request:
    return Request(
        timestamp=START_MS + 1000 * number,
        message_id=new_id(number * 10 + attempt, b"m" * 10),
        request_id=f"{number:032x}",
        return_address="roost/coop/nest/results/cam",
        deadline_ms=2_000,
        issued=Issued(boot=BOOT, seq=number, monotonic_ns=number, attempt=attempt),
        tags={"camera": "door"},
        input=Input(frame=FrameRef(sha256=SHA256, bytes=len(PICTURE), path="x.png", width=16, height=12)),
        state={"door": door, "weather": {"sun": True}},
    )


def score(asked: Request, model: str, hen: float, saw: bytes, *, version: str = "1") -> Score:
    return Score(
        timestamp=asked.timestamp + 30,
        message_id=hashlib.sha256(f"{asked.request_id}{model}{version}".encode()).hexdigest()[:32],
        request_id=asked.request_id,
        model=model,
        version=version,
        outputs=[Output(label="hen", score=hen), Output(label="none", score=1 - hen)],
        compute_ms=4.0,
        saw=hashlib.sha256(saw).hexdigest(),
    )


def archived(root: Path, capture: FrameStore | None = None) -> list[Row]:
    """0: both answer. 1: `new` declines. 2: `new` saw another attempt that says the same; 3: one that does not."""
    items: list[Item] = []

    def put(message: Message, asked: Request) -> bytes:
        payload = encode(message)
        items.append(Item(payload, message, "nest", asked.timestamp * 1_000_000))
        return payload

    for number in range(5):
        asked = request(number)
        payload = seen = put(asked, asked)
        if number in (2, 3):
            seen = put(request(number, attempt=2, door="open" if number == 2 else "shut"), asked)
        put(score(asked, "old", 0.9, payload), asked)
        if number == 1:
            gone = Declined(
                timestamp=asked.timestamp + 1,
                message_id="d" * 32,
                request_id=asked.request_id,
                model="new",
                version="2",
                reason="behind",
            )
            put(gone, asked)
        elif number < 4:
            put(score(asked, "new", 0.8, seen, version="2"), asked)
    first = request(0)
    put(
        Result(
            timestamp=first.timestamp + 25,
            message_id="e" * 32,
            request_id=first.request_id,
            cause="preferred",
            answer=Answer(model="old", version="1", label="hen", score=0.9),
            elapsed_ms=25.0,
            sla_ms=2_000,
            propensity=0.9,
            models=[
                ModelOutcome(model="old", version="1", status="answered", elapsed_ms=20.0),
                ModelOutcome(model="new", status="pending"),
            ],
        ),
        first,
    )
    with Archive(root) as archive:
        archive.write(items, capture)
    source = open_cases(root)
    try:
        return list(rows(source, task="nest", truth={SHA256: "hen"}))
    finally:
        source.close()


def test_each_request_is_a_row_with_every_models_word_and_the_official_answer(tmp_path: Path) -> None:
    found = archived(tmp_path)
    assert [row.request_id for row in found] == [f"{number:032x}" for number in range(5)]
    first = found[0]
    assert (first.answered_by, first.label, first.cause, first.propensity) == ("old", "hen", "preferred", 0.9)
    assert (first.at, first.deadline_ms, first.truth) == (START_MS * 1_000_000, 2_000, "hen")
    assert first.tags == {"node": "coop", "camera": "door"}
    assert first.state == {"door": "open", "weather.sun": True}
    assert first.input["frame.sha256"] == SHA256
    old, new = first.word("old"), first.word("new")
    assert old is not None
    assert new is not None
    assert (old.outcome, old.elapsed_ms, old.compute_ms, old.scores) == (
        "answered",
        20.0,
        4.0,
        {"hen": 0.9, "none": 1 - 0.9},
    )
    assert (new.outcome, new.elapsed_ms, new.version) == ("late", 30.0, "2")
    outcomes = [(word.outcome, word.reason) for row in found if (word := row.word("new")) is not None]
    assert outcomes == [
        ("late", ""),
        ("declined", "behind"),
        ("answered", ""),
        ("absent", "other-input"),
        ("absent", ""),
    ]
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[Row]) == found


def test_words_about_another_input_are_not_joined(tmp_path: Path) -> None:
    joined = join(archived(tmp_path), choice("old"), choice("new"))
    assert [int(pair.request_id, 16) for pair in joined.pairs] == [0, 2]
    assert joined.missing == {"new": {"declined: behind": 1, "saw another input": 1, "not in service": 1}}
    assert joined.compared == 3


def test_the_command_reads_an_archive_and_shows_the_pictures_of_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = FrameStore(tmp_path / "capture")
    capture.put(PICTURE, width=16, height=12)
    archived(tmp_path / "archive", capture)
    html = tmp_path / "out.html"
    words = ["old", "new", "--archive", tmp_path / "archive", "--html", html, "--until", "2023-11-14T22:13:24"]
    monkeypatch.setattr("sys.argv", ["roost", "compare", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("old beside new: 3 requests of nest")
    assert "only 3 requests were compared" in said
    assert "1 declined: behind, 1 saw another input" in said
    assert html.read_text().count("data:image/jpeg;base64,") == 3
