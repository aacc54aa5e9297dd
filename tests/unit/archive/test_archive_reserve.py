"""P5: pictures give way, fairly by label, so that the medium keeps room for the record."""

from pathlib import Path
from typing import Any

from roost_broker.room import Reserve, Room
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive

FRAME = 992
MB = 1_000_000


class Medium:
    """A medium of 100 kB, with so much free; 10 kB of it are to stay free."""

    reserve = Reserve(10_000)

    def __init__(self, free: int = 50_000) -> None:
        self.free = free

    def measure(self, _folder: Path) -> Room:
        return Room(self.free, 100_000)


def filled(archive: Archive, maker: Any, labels: str) -> list[str]:
    """One input with a frame and its official label for each letter; capture has let go of the frames."""
    digests = []
    for number, label in enumerate(labels):
        ref = maker.frame(number)
        archive.put(maker.request(number, frame=ref), task="nest", received_ns=number, source=maker.frames)
        archive.put(maker.result(number, "unknown" if label == "?" else label), task="nest", received_ns=number)
        maker.frames.remove(ref.sha256)
        digests.append(ref.sha256)
    return digests


def left(archive: Archive, digests: list[str], labels: str) -> str:
    held = {path.stem for path in archive.frames}
    return "".join(label for label, digest in zip(labels, digests, strict=True) if digest in held)


def test_over_the_budget_what_there_is_most_of_pays_and_unanswered_frames_are_a_class_of_their_own(
    tmp_path: Path, maker: Any
) -> None:
    labels = "f" + "h" * 12 + "??" + "hh"
    settings = ArchiveSettings(budget_mb=10 * FRAME / MB, low_water=1, floor_frames=2)
    with Archive(tmp_path / "a", settings=settings) as archive:
        digests = filled(archive, maker, labels)
        assert len(archive.enforce_budget(1).frames) == 7
        assert left(archive, digests, labels) == "f" + "hhhhh" + "??" + "hh"
        assert archive.stats().inputs == archive.stats().results == len(labels)
        assert archive.house_keeping() == {
            "store-looks": 1,
            "store-held": 10 * FRAME,
            "store-budget": 10 * FRAME,
            "store-floors-short": 0,
        }


def test_a_budget_below_the_floors_is_kept_and_said_to_be_too_small(tmp_path: Path, maker: Any) -> None:
    settings = ArchiveSettings(budget_mb=4 * FRAME / MB, low_water=1, floor_frames=3)
    with Archive(tmp_path / "a", settings=settings) as archive:
        digests = filled(archive, maker, "hhhhffff")
        archive.enforce_budget(1)
        assert left(archive, digests, "hhhhffff") == "hhff"
        assert archive.house_keeping()["store-floors-short"] == 1


def test_a_medium_short_of_room_gets_it_from_the_largest_class_and_floors_stay(tmp_path: Path, maker: Any) -> None:
    medium = Medium(free=10_000 - 3 * FRAME)
    settings = ArchiveSettings(floor_frames=2)
    with Archive(tmp_path / "a", settings=settings, reserve=medium.reserve, measure=medium.measure) as archive:
        digests = filled(archive, maker, "fhhhhh")
        removals = archive.enforce_budget(1)
        assert (len(removals.frames), removals.more) == (3, False)  # the next look sees what that has brought
        assert left(archive, digests, "fhhhhh") == "fhh"
        assert not archive.enforce_budget(1).frames, "what is left are floors"


def test_nearly_full_the_oldest_go_whatever_they_are_and_the_newest_last(tmp_path: Path, maker: Any) -> None:
    medium = Medium(free=2_000)
    with Archive(tmp_path / "a", reserve=medium.reserve, measure=medium.measure) as archive:
        digests = filled(archive, maker, "fhhhhhhhhhh")
        archive.enforce_budget(1)
        assert left(archive, digests, "fhhhhhhhhhh") == "hh"
        assert {path.stem for path in archive.frames} == set(digests[-2:])


def test_frames_that_capture_still_holds_are_not_given_up_for_nothing(tmp_path: Path, maker: Any) -> None:
    medium = Medium(free=5_000)
    with Archive(tmp_path / "a", reserve=medium.reserve, measure=medium.measure) as archive:
        ref = maker.frame(1)
        archive.put(maker.request(1, frame=ref), task="nest", received_ns=1, source=maker.frames)
        for free in (5_000, 1_000):
            medium.free = free
            assert not archive.enforce_budget(1).frames
        maker.frames.remove(ref.sha256)
        assert archive.enforce_budget(1).frames


def test_a_frame_asked_about_again_is_taken_off_the_list_of_what_goes(tmp_path: Path, maker: Any) -> None:
    settings = ArchiveSettings(budget_mb=2 * FRAME / MB, slice_frames=1, low_water=1)
    with Archive(tmp_path / "a", settings=settings) as archive:
        digests = filled(archive, maker, "hhhh")
        assert [frame.sha256 for frame in archive.enforce_budget(1).frames] == digests[:1]
        ref = maker.frame(1)
        archive.put(maker.request(50, frame=ref), task="nest", received_ns=2, source=maker.frames)
        assert [frame.sha256 for frame in archive.enforce_budget(1).frames] == digests[2:3]
