"""Labels for an evaluation, and what a candidate must not be judged by."""

from pathlib import Path

import pytest

from roost_broker.errors import Malformed, Misuse
from roost_broker.ids import new_id
from roost_models.assessment.truth import of_dataset, read_truth
from roost_models.datasets.document import Dataset, Item, render
from roost_models.labels.entry import Entry
from roost_models.labels.store import LabelStore

A, B, C = "a" * 64, "b" * 64, "c" * 64
DATASET = Dataset(
    name="nest",
    version=3,
    labels=["egg", "hen"],
    items=[
        Item(sha256=A, label="egg", split="train"),
        Item(sha256=B, label="hen", split="test"),
        Item(sha256=C, label="hen", split="validation"),
    ],
    made_at_ms=1,
)


def store(path: Path, *said: tuple[str, str, str]) -> Path:
    entries = [
        Entry(id=new_id(n * 1_000_000), picture=picture, task="nest", label=label, author=author, at=n)
        for n, (picture, label, author) in enumerate(said, start=1)
    ]
    with LabelStore(path) as made:
        made.add(entries)
    return path


def test_of_a_dataset_only_the_test_split_counts(tmp_path: Path) -> None:
    (tmp_path / "3.json").write_bytes(render(DATASET))
    found = read_truth(tmp_path / "3.json", task="nest")
    assert (found.labels, found.left_out, found.remarks) == ({B: "hen"}, 2, ())
    assert "version 3, test split" in found.source


def test_everything_counts_where_it_is_asked_for_and_that_is_said() -> None:
    found = of_dataset(DATASET, everything=True)
    assert len(found.labels) == 3
    assert "flattered" in found.remarks[0]


def test_of_a_label_store_what_the_candidate_learned_from_is_left_out(tmp_path: Path) -> None:
    path = store(tmp_path / "labels.db", (A, "egg", "ann"), (B, "hen", "ann"), (C, "hen", "ann"))
    found = read_truth(path, task="nest", trained_on=DATASET)
    assert (found.labels, found.left_out) == ({B: "hen"}, 2)
    unknown = read_truth(path, task="nest")
    assert len(unknown.labels) == 3
    assert "not known which" in unknown.remarks[0]


def test_a_picture_of_a_morning_that_the_candidate_learned_from_is_left_out_though_labelled_later(
    tmp_path: Path,
) -> None:
    noon = 1_778_500_000_000  # 2026-05-11
    learned = Item(sha256=A, label="egg", split="train", site="coop-1", day="2026-05-11")
    tested = Item(sha256=B, label="hen", split="test", site="coop-2", day="2026-05-11")
    dataset = Dataset(name="nest", version=1, labels=["egg", "hen"], items=[learned, tested], made_at_ms=1)

    def entry(n: int, picture: str, site: str, taken: int) -> Entry:
        fields = {"picture": picture, "task": "nest", "label": "hen", "author": "ann", "site": site, "taken": taken}
        return Entry(id=new_id(n * 1_000_000), at=n, **fields)  # type: ignore[arg-type]  # a table of fields

    with LabelStore(tmp_path / "labels.db") as made:
        made.add(
            [
                entry(1, A, "coop-1", noon),
                entry(2, B, "coop-2", noon),
                entry(3, C, "coop-1", noon + 1000),
                entry(4, "d" * 64, "coop-1", noon + 86_400_000),
            ]
        )
    found = read_truth(tmp_path / "labels.db", task="nest", trained_on=dataset)
    assert (sorted(found.labels), found.left_out) == ([B, "d" * 64], 2)


def test_labels_on_which_authors_disagree_do_not_count(tmp_path: Path) -> None:
    path = store(tmp_path / "labels.db", (A, "egg", "ann"), (A, "hen", "bob"), (B, "hen", "ann"), (B, "hen", "bob"))
    assert read_truth(path, task="nest").labels == {B: "hen"}
    assert read_truth(path, task="door").labels == {}


def test_what_is_not_there_is_misuse_and_what_is_no_dataset_malformed(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no labels"):
        read_truth(tmp_path / "labels.db", task="nest")
    (tmp_path / "1.json").write_text("{}")
    with pytest.raises(Malformed, match="Not a dataset"):
        read_truth(tmp_path / "1.json", task="nest")
