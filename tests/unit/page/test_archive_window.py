"""Searching an archive that the real writer wrote."""

from pathlib import Path

import pytest
from label_world import START_MS, Asked, archive, block

from roost_broker.errors import FrameUnavailable, PeerError
from roost_edge.page import archive as windows
from roost_edge.page.archive import ArchiveWindow, Wanted
from roost_edge.page.pictures import LARGE, SMALL, Pictures

HEN, EGG = ("hen", 0.9, "egg"), ("egg", 0.6, "hen")


@pytest.fixture
def window(tmp_path: Path) -> ArchiveWindow:
    asked = [
        Asked(block((20 * number, 9, 9)), {"champion": EGG if number % 3 == 0 else HEN, "canary": EGG})
        for number in range(10)
    ]
    archive(tmp_path / "archive", [*asked, Asked(block((1, 2, 3)), {}, official="")])
    return ArchiveWindow(tmp_path / "archive")


def labels(window: ArchiveWindow, **wanted: object) -> list[str | None]:
    return [one.label for one in window.search(Wanted(**wanted), 100).seen]  # type: ignore[arg-type]  # the test's own


def test_the_newest_come_first_and_pages_hold_all_of_them_once(window: ArchiveWindow) -> None:
    seen, before = [], None
    while True:
        page = window.search(Wanted(before=before), 4)
        seen += [one.arrival for one in page.seen]
        before = page.further
        if before is None:
            break
        assert page.complete
    assert seen == list(range(11, 0, -1))


def test_it_is_found_by_label_score_and_time(window: ArchiveWindow) -> None:
    assert labels(window, label="egg") == ["egg"] * 4
    assert labels(window, least=0.7) == ["hen"] * 6
    assert labels(window, most=0.7) == ["egg"] * 4
    assert labels(window, label="hen", most=0.7) == []
    assert len(labels(window, from_ms=START_MS + 10 * 60_000)) == 2
    assert len(labels(window, to_ms=START_MS + 2 * 60_000)) == 1
    assert labels(window, label="'; DROP TABLE inputs; --") == []


def test_a_default_has_its_label_and_no_score(window: ArchiveWindow) -> None:
    newest = window.search(Wanted(), 1).seen[0]
    assert (newest.label, newest.cause, newest.score) == ("none", "default", None)


def test_a_search_looks_at_so_many_requests_and_says_where_it_may_go_on(
    window: ArchiveWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LOOKED_AT", 3)
    first = window.search(Wanted(label="egg"), 4)
    assert [one.arrival for one in first.seen] == [10]
    assert (first.further, first.complete) == (9, False)
    assert [one.arrival for one in window.search(Wanted(label="egg", before=first.further), 4).seen] == [7]


def test_of_one_request_everybodys_word_is_there(window: ArchiveWindow) -> None:
    newest = window.search(Wanted(label="hen"), 1).seen[0]
    whole = window.whole(newest.request_id)
    assert whole is not None
    assert {(one.model, one.label, one.score) for one in whole.said} == {
        ("champion", "hen", 0.9),
        ("canary", "egg", 0.6),
    }
    assert whole.result is not None
    assert whole.frame is not None
    assert whole.frame.sha256 == newest.frame
    assert window.whole("0" * 32) is None


def test_labels_and_the_newest_picture_of_a_camera_are_known(window: ArchiveWindow) -> None:
    assert window.labels() == ["egg", "hen", "none"]
    newest = window.newest_of("nest")
    assert newest is not None
    assert newest.arrival == 11
    assert window.newest_of("elsewhere") is None


def test_where_nothing_was_archived_that_is_said(tmp_path: Path) -> None:
    nothing = ArchiveWindow(tmp_path)
    assert not nothing.there()
    with pytest.raises(PeerError, match="Nothing was archived"):
        nothing.search(Wanted(), 1)
    (tmp_path / "archive.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(PeerError, match="cannot be read"):
        nothing.search(Wanted(), 1)


def test_small_pictures_are_kept_within_the_budget_and_one_that_is_gone_is_missed(window: ArchiveWindow) -> None:
    newest = window.search(Wanted(), 3).seen
    first = newest[0].frame or ""
    keeping, forgetting = Pictures(1_000_000), Pictures(0)
    made = [pictures.get(window.frames, first, SMALL) for pictures in (keeping, forgetting)]
    assert made[0].startswith(b"\xff\xd8\xff")
    (window.frames / first[:2] / f"{first}.jpg").unlink()
    assert keeping.get(window.frames, first, SMALL) == made[0]
    for pictures, width in ((forgetting, SMALL), (keeping, LARGE)):
        with pytest.raises(FrameUnavailable):
            pictures.get(window.frames, first, width)


def test_what_is_no_picture_is_not_given_out(window: ArchiveWindow) -> None:
    newest = window.search(Wanted(), 1).seen[0].frame or ""
    (window.frames / newest[:2] / f"{newest}.jpg").write_bytes(b"<script>alert(1)</script>")
    with pytest.raises(PeerError, match="not a picture"):
        Pictures(1000).get(window.frames, newest, SMALL)
