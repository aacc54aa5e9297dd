"""Datasets from labels: lineage, what is left out and why, and a store that overwrites nothing."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from roost_broker.errors import FrameUnavailable, Malformed, Misuse, PeerError
from roost_broker.frames import FrameStore
from roost_models.datasets import checking, making, store
from roost_models.datasets.comparing import compare
from roost_models.datasets.document import Dataset, digest_of, parse, render
from roost_models.datasets.split import Shares
from roost_models.labels.entry import Entry
from roost_models.labels.standing import Standing, standing

DAY = 86_400_000
WISH = making.Wish(name="hens", task="nest", author="anna", why="a try")


def picture(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()


def entry(number: int, label: str | None, author: str = "anna", **more: Any) -> Entry:
    fields = {"site": "coop", "taken": number % 10 * DAY, "at": number, "task": "nest", **more}
    return Entry(
        id=sha256(f"{number}{author}".encode()).hexdigest()[:32],
        picture=picture(number),
        label=label,
        author=author,
        **fields,
    )


def labelled(count: int, *more: Entry) -> dict[str, Standing]:
    said: dict[str, list[Entry]] = {}
    for one in [*(entry(number, ("hen", "egg")[number % 3 == 0]) for number in range(count)), *more]:
        said.setdefault(one.picture or "", []).append(one)
    return {digest: standing(entries) for digest, entries in said.items()}


def test_conflicts_the_unusable_the_unwanted_and_the_unreadable_are_left_out_and_listed() -> None:
    there = {picture(5): "missing", picture(6): "altered"}
    standings = labelled(
        20,
        entry(1, "egg", "bert"),
        entry(100, None, kind="not-usable", reason="dark"),
        entry(101, "jay"),
        entry(102, "hen", kind="suggestion"),
    )
    wish = wanting(WISH, labels=("hen", "egg"))
    made = making.make(wish, standings, [], now_ms=1, there=lambda digest: there.get(digest, ""))
    reasons = {one.sha256: (one.reason, one.detail) for one in made.left_out}
    assert reasons == {
        picture(1): ("conflict", "anna: hen; bert: egg"),
        picture(100): ("not-usable", "dark"),
        picture(101): ("not-wanted", "jay"),
        picture(5): ("missing", ""),
        picture(6): ("damaged", ""),
    }
    assert len(made.items) == 17
    assert made.labels == ["hen", "egg"]
    assert not {one.sha256 for one in made.items} & reasons.keys()
    assert any("disagree" in sentence for sentence in making.warnings(made))


def wanting(wish: making.Wish, **changes: Any) -> making.Wish:
    from dataclasses import replace

    return replace(wish, **changes)


def test_a_dataset_of_one_label_is_refused() -> None:
    with pytest.raises(Misuse, match="two labels"):
        making.make(wanting(WISH, labels=("hen",)), labelled(9), [], now_ms=1)


def test_the_next_version_names_its_parent_keeps_numbers_of_labels_and_its_test() -> None:
    first = making.make(WISH, labelled(40), [], now_ms=1)
    second = making.make(WISH, labelled(60, entry(300, "a jay"), entry(301, "a jay")), [first], now_ms=2)
    assert (second.version, second.parent) == (2, digest_of(render(first)))
    assert (first.labels, second.labels) == (["egg", "hen"], ["egg", "hen", "a jay"])
    found = compare(first, second)
    assert (len(found.added), found.removed, found.moved, found.leaked) == (22, [], [], [])
    assert not making.same(first, second)
    assert making.same(first, making.make(WISH, labelled(40), [first], now_ms=9))


def test_a_corrected_label_shows_in_the_difference() -> None:
    first = making.make(WISH, labelled(40), [], now_ms=1)
    fixed = structs.replace(entry(1, "egg", at=99), id="f" * 32, supersedes=entry(1, "hen").id)
    second = making.make(WISH, labelled(40, fixed), [first], now_ms=2)
    assert [(one.before, one.after) for one in compare(first, second).relabelled] == [("hen", "egg")]


def test_the_same_labels_give_the_same_bytes_in_any_order() -> None:
    standings = labelled(40)
    turned = dict(reversed(standings.items()))
    assert render(making.make(WISH, standings, [], now_ms=1)) == render(making.make(WISH, turned, [], now_ms=1))


def test_few_pictures_and_pictures_of_no_day_are_warned_of() -> None:
    made = making.make(WISH, {d: of_nowhere(h) for d, h in labelled(12).items()}, [], now_ms=1)
    sentences = " ".join(making.warnings(made))
    assert "Fewer than 10" in sentences
    assert "neither site nor day" in sentences


def of_nowhere(holds: Standing) -> Standing:
    return Standing(tuple(structs.replace(one, site="", taken=None) for one in holds.verdicts))


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    frames = FrameStore(tmp_path / "archive" / "frames")
    for number in range(60):
        frames.put(b"%d" % number, width=1, height=1)
    return tmp_path


def frames_of(centre: Path) -> FrameStore:
    return FrameStore(centre / "archive" / "frames")


def test_versions_are_written_once_read_again_and_their_pictures_verified(centre: Path) -> None:
    first = making.make(WISH, labelled(40), [], now_ms=1)
    digest = store.add_version(centre, first)
    assert store.open_version(centre, "hens") == (first, digest)
    with pytest.raises(Misuse, match="already"):
        store.add_version(centre, structs.replace(first, why="another"))
    assert store.open_version(centre, "hens", 1) == (first, digest)
    assert [data for _, data in store.pictures(first, frames_of(centre))] == [
        b"%d" % next(n for n in range(40) if picture(n) == item.sha256) for item in first.items
    ]
    assert checking.check(centre, "hens", frames_of(centre)) == []
    frames_of(centre).path(first.items[3].sha256).write_bytes(b"else")
    with pytest.raises(FrameUnavailable, match="not have the content"):
        list(store.pictures(first, frames_of(centre)))
    assert len(checking.check(centre, "hens", frames_of(centre))) == 1


def test_a_check_finds_a_changed_parent_and_a_test_that_is_trained_on(centre: Path) -> None:
    first = making.make(WISH, labelled(40), [], now_ms=1)
    store.add_version(centre, first)
    second = making.make(WISH, labelled(50), [first], now_ms=2)
    leaked = [structs.replace(item, split="train") for item in second.items]
    store.add_version(centre, structs.replace(second, items=leaked))
    (centre / "datasets" / "hens" / "1.json").write_bytes(render(structs.replace(first, why="forged")))
    found = checking.check(centre, "hens", frames_of(centre))
    assert any("does not descend" in one for one in found)
    assert any("a test of version 1" in one for one in found)
    assert compare(first, structs.replace(second, items=leaked)).leaked


def test_what_is_no_version_is_refused_by_name(centre: Path) -> None:
    with pytest.raises(Misuse, match="no dataset"):
        store.open_version(centre, "nothing")
    for name in ("../x", "", "a b", "x" * 65):
        with pytest.raises(Misuse, match="no name"):
            store.open_version(centre, name)
    store.add_version(centre, making.make(WISH, labelled(40), [], now_ms=1))
    with pytest.raises(Misuse, match="no version 7"):
        store.open_version(centre, "hens", 7)
    folder = centre / "datasets" / "hens"
    (folder / "2.json").write_bytes((folder / "1.json").read_bytes())
    with pytest.raises(PeerError, match="says that it is"):
        store.open_version(centre, "hens", 2)
    (folder / "3.json").write_bytes(b"{")
    with pytest.raises(Malformed):
        store.open_version(centre, "hens")
    assert store.names(centre) == ["hens"]


def test_a_document_of_the_first_fields_alone_still_reads() -> None:
    old = (
        b'{"schema":"roost.dataset/1","name":"hens","version":1,"labels":["a","b"],"items":[],"madeAtMs":0,'
        b'"testShare":0.3}'
    )
    dataset = parse(old)
    assert isinstance(dataset, Dataset)
    assert (dataset.test_share, dataset.left_out, dataset.task) == (0.3, [], "")


@pytest.mark.parametrize("shares", [(1.0, 0.0), (-0.1, 0.0), (0.6, 0.5), (float("nan"), 0.0)])
def test_shares_that_cannot_be_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(Misuse):
        Shares(*shares)


def test_a_site_that_is_held_out_is_tested_but_what_was_trained_on_of_it_stays_in_training() -> None:
    first = making.make(WISH, labelled(60), [], now_ms=1)
    trained = {item.group for item in first.items if item.split == "train"}
    fresh = [entry(100 + day, "hen", taken=(100 + day) * DAY) for day in range(20)]
    again = making.make(wanting(WISH, test_sites=("coop",)), labelled(60, *fresh), [first], now_ms=2)
    splits = {item.group: item.split for item in again.items}
    assert {splits[group] for group in trained} == {"train"}
    assert {split for group, split in splits.items() if group not in {item.group for item in first.items}} == {"test"}
    assert again.recipe["test-sites"] == "coop"
