"""`roost compare --labels`: pictures that a model learned from do not count, and what is not known is said."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Issued, Output, Request, Score, encode
from roost_edge.cli import main
from roost_models.archive.writing import Archive, Item
from roost_models.datasets.document import Dataset, render
from roost_models.datasets.document import Item as Labelled
from roost_models.inference.images import encode_png
from roost_models.labels.entry import Entry
from roost_models.labels.store import LabelStore

START_MS = 1_700_000_000_000
PICTURES = [encode_png(np.full((4, 4, 3), grey, np.uint8)) for grey in (10, 60, 110, 160)]
SHAS = [hashlib.sha256(one).hexdigest() for one in PICTURES]
DATASET = Dataset(
    name="nest",
    version=1,
    labels=["hen", "none"],
    items=[Labelled(sha256=SHAS[0], label="hen", split="train"), Labelled(sha256=SHAS[1], label="hen", split="test")],
    made_at_ms=1,
)
Run = pytest.CaptureFixture[str]


def archived(root: Path) -> Path:
    """Four pictures: `old` says hen of all, `new` (which learned the first) of the first alone."""
    items: list[Item] = []
    for number, (picture, sha256) in enumerate(zip(PICTURES, SHAS, strict=True)):
        asked = Request(
            timestamp=START_MS + 1000 * number,
            message_id=new_id(number, b"m" * 10),
            request_id=f"{number:032x}",
            return_address="roost/coop/nest/results/cam",
            deadline_ms=2_000,
            issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
            input=Input(frame=FrameRef(sha256=sha256, bytes=len(picture), path="x.png", width=4, height=4)),
        )
        payload = encode(asked)
        items.append(Item(payload, asked, "nest", asked.timestamp * 1_000_000))
        for model, hen in (("old", 0.9), ("new", 0.9 if number == 0 else 0.1)):
            said = Score(
                timestamp=asked.timestamp + 30,
                message_id=hashlib.sha256(f"{number}{model}".encode()).hexdigest()[:32],
                request_id=asked.request_id,
                model=model,
                version="1",
                outputs=[Output(label="hen", score=hen), Output(label="none", score=1 - hen)],
                saw=hashlib.sha256(payload).hexdigest(),
            )
            items.append(Item(encode(said), said, "nest", asked.timestamp * 1_000_000))
    with Archive(root) as archive:
        archive.write(items, None)
    return root


def labelled(path: Path) -> Path:
    entries = [
        Entry(id=new_id(n * 1_000_000), picture=sha256, task="nest", label="hen", author="ann", at=n)
        for n, sha256 in enumerate(SHAS, start=1)
    ]
    with LabelStore(path) as made:
        made.add(entries)
    return path


def compare(words: list[object], monkeypatch: pytest.MonkeyPatch, capsys: Run, code: int = 0) -> tuple[str, str]:
    monkeypatch.setattr("sys.argv", ["roost", "compare", *map(str, words)])
    try:
        found = main()
    except SystemExit as end:
        found = int(end.code or 0)
    assert found == code
    said = capsys.readouterr()
    return said.out, said.err


def test_pictures_that_a_model_learned_from_do_not_count_and_what_is_left_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Run
) -> None:
    labels, dataset = labelled(tmp_path / "labels.db"), tmp_path / "1.json"
    dataset.write_bytes(render(DATASET))
    words = ["old", "new", "--archive", archived(tmp_path / "archive"), "--labels", labels, "--json"]
    found = json.loads(compare([*words, "--trained-on", dataset], monkeypatch, capsys)[0])
    assert (found["paired"]["labelled"], found["paired"]["onlyOne"]) == (3, 3)
    [note] = [one for one in found["notes"] if "labelled pictures" in one]
    assert note.startswith("1 of 4 labelled pictures are left out: a model learned from them")
    every = json.loads(compare([*words, "--all-labels"], monkeypatch, capsys)[0])
    assert every["paired"]["labelled"] == 4
    assert any("looks better than it is" in one for one in every["notes"])


def test_of_a_dataset_the_test_split_counts_and_that_training_is_unknown_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Run
) -> None:
    dataset = tmp_path / "1.json"
    dataset.write_bytes(render(DATASET))
    words = ["old", "new", "--archive", archived(tmp_path / "archive"), "--labels", dataset]
    found = json.loads(compare([*words, "--json"], monkeypatch, capsys)[0])
    assert found["paired"]["labelled"] == 1
    assert any("is not known" in one for one in found["notes"])
    out, _ = compare(words, monkeypatch, capsys)
    assert "note: Which pictures the models learned from is not known" in out


def test_which_labels_count_is_asked_only_with_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Run
) -> None:
    words = ["old", "new", "--archive", archived(tmp_path / "archive")]
    _, err = compare([*words, "--all-labels"], monkeypatch, capsys, code=2)
    assert "--labels" in err
    labels = labelled(tmp_path / "labels.db")
    _, err = compare([*words, "--labels", labels, "--trained-on", tmp_path / "9.json"], monkeypatch, capsys, code=2)
    assert "no version of a dataset" in err
