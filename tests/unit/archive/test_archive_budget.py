from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_models.archive.budget import Removals
from roost_models.archive.frames import FrameShelf
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, ArchiveFull

FRAME = 992  # bytes of one frame that `maker` makes


def fill(archive: Archive, maker: Any, numbers: range) -> list[str]:
    digests = []
    for number in numbers:
        ref = maker.frame(number)
        archive.put(maker.request(number, frame=ref), task="nest", received_ns=number, source=maker.frames)
        digests.append(ref.sha256)
    return digests


def let_go(maker: Any) -> None:
    """Capture has given up its names of the files: from now on the archive's are the only ones."""
    for file in list(maker.frames):
        file.unlink()


def fits(archive: Archive, maker: Any, number: int) -> bool:
    try:
        fill(archive, maker, range(number, number + 1))
    except ArchiveFull:
        return False
    finally:
        let_go(maker)
    return True


def test_within_the_budget_nothing_goes(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "a", settings=ArchiveSettings(budget_mb=10 * FRAME / 1e6)) as archive:
        fill(archive, maker, range(10))
        assert archive.enforce_budget(1) == Removals()


def test_over_the_budget_the_oldest_frames_go_and_every_record_stays(tmp_path: Path, maker: Any) -> None:
    settings = ArchiveSettings(budget_mb=10 * FRAME / 1e6, low_water=0.8)
    with Archive(tmp_path / "a", settings=settings) as archive:
        digests = fill(archive, maker, range(12))
        removals = archive.enforce_budget(99)
        assert ([frame.sha256 for frame in removals.frames], removals.more) == (digests[:4], False)
        assert {path.stem for path in archive.frames} == set(digests[4:])
        stats = archive.stats()
        assert (stats.inputs, stats.frames, stats.frames_removed, stats.frame_bytes) == (12, 8, 4, 8 * FRAME)
        assert stats.inputs_without_frame == {}


def test_a_removed_frame_is_unavailable_with_a_reason(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "a", settings=ArchiveSettings(budget_mb=FRAME / 1e6)) as archive:
        fill(archive, maker, range(2))
        archive.enforce_budget(99)
        ref = next(archive.inputs()).request.input.frame
        assert ref is not None
        with pytest.raises(FrameUnavailable, match="not in"):
            archive.frames.read(ref)


def test_house_keeping_goes_in_bounded_slices(tmp_path: Path, maker: Any) -> None:
    settings = ArchiveSettings(budget_mb=2 * FRAME / 1e6, slice_frames=3)
    with Archive(tmp_path / "a", settings=settings) as archive:
        fill(archive, maker, range(10))
        slices = [archive.enforce_budget(1) for _ in range(4)]
        assert [(len(s.frames), s.more) for s in slices] == [(3, True), (3, True), (3, False), (0, False)]


def test_a_frame_asked_about_again_counts_as_young(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "a", settings=ArchiveSettings(budget_mb=2 * FRAME / 1e6, low_water=1)) as archive:
        first, second = fill(archive, maker, range(2))
        ref = maker.frame(0)
        archive.put(maker.request(50, frame=ref), task="nest", received_ns=2, source=maker.frames)
        fill(archive, maker, range(2, 3))
        assert [frame.sha256 for frame in archive.enforce_budget(1).frames] == [second]
        assert archive.frames.path(first).exists()


def test_a_medium_that_is_full_loses_old_frames_and_not_the_record(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "a") as archive:
        fill(archive, maker, range(5))
        let_go(maker)
        pages = archive._db.execute("PRAGMA page_count").fetchone()[0]
        archive._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says SQLITE_FULL, as on a full disk
        refused = next(number for number in range(5, 500) if not fits(archive, maker, number))
        stats = archive.stats()
        assert stats.inputs == refused  # the one refused left nothing behind
        assert [path.stem for path in archive.frames] == [maker.frame(refused).sha256]  # the old ones were given up
        archive._db.execute("PRAGMA max_page_count = 100000")  # room again
        fill(archive, maker, range(refused, refused + 1))
        stats = archive.stats()
        assert (stats.inputs, stats.frames, stats.frames_removed) == (refused + 1, 1, refused)


def test_frames_that_vanished_from_the_folder_are_no_longer_held_after_the_next_opening(
    tmp_path: Path, maker: Any
) -> None:
    with Archive(tmp_path / "a") as archive:
        gone, kept = fill(archive, maker, range(2))
        archive.frames.remove(gone)
    with Archive(tmp_path / "a") as archive:
        stats = archive.stats()
        assert (stats.frames, stats.frames_removed) == (1, 1)
        assert archive.frames.path(kept).exists()


def test_strays_of_a_cut_are_removed_at_the_next_opening(tmp_path: Path, maker: Any) -> None:
    with Archive(tmp_path / "a") as archive:
        (kept,) = fill(archive, maker, range(1))
        stray = maker.frame(7)
        archive.frames.adopt(stray, maker.frames)  # linked, but the cut came before the commit
        half = archive.frames.path(kept).with_name(".half.jpg.12.part")
        half.write_bytes(b"half")
    with Archive(tmp_path / "a") as archive:
        assert [path.stem for path in archive.frames] == [kept]
        assert not half.exists()


class RoomMaker(FrameStore):
    """A store on a full medium: removing a frame makes room on it."""

    def __init__(self, root: Path, db: Any) -> None:
        super().__init__(root)
        self._db = db

    def remove(self, sha256: str) -> int:
        self._db.execute("PRAGMA max_page_count = 1000000")
        return super().remove(sha256)


def test_a_budget_lowered_on_a_full_medium_is_kept_by_removing_the_files_first(tmp_path: Path) -> None:
    with Archive(tmp_path / "a") as archive:
        db = archive._db
        settings = ArchiveSettings(budget_mb=FRAME / 1e6, slice_frames=400)
        shelf = FrameShelf(db, RoomMaker(archive.frames.root, db), settings)
        with db.atomic():  # rows that fill their pages: marking one as removed takes another page
            for number in range(500):
                shelf.hold(f"{number:064x}", FRAME, number, 0)
        shelf.committed(0)
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        assert len(shelf.enforce_budget(2**62).frames) == 400
        stats = archive.stats()
        assert (stats.frames, stats.frames_removed) == (100, 400)
