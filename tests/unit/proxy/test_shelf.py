"""Pictures that came by HTTP: within a budget, never from under a waiting request, never a camera's."""

from pathlib import Path

import pytest

from roost_broker.errors import QueueFull
from roost_broker.frames import FrameStore
from roost_rendezvous.proxy.pictures import Picture
from roost_rendezvous.proxy.shelf import Shelf

SEEN = Picture("image/png", 4, 4)


@pytest.fixture
def frames(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "frames")


@pytest.fixture
def shelf(tmp_path: Path, frames: FrameStore) -> Shelf:
    return Shelf(frames, FrameStore(tmp_path / "own"), budget_bytes=250)


def data(number: int) -> bytes:
    return bytes([number]) * 100


def test_the_oldest_that_nobody_waits_for_goes_first(shelf: Shelf, frames: FrameStore) -> None:
    refs = [shelf.put(data(number), SEEN) for number in (1, 2)]
    shelf.release(refs[1])
    third = shelf.put(data(3), SEEN)
    assert frames.read(refs[0]) == data(1)
    assert frames.read(third) == data(3)
    assert not frames.path(refs[1].sha256).exists()
    assert shelf.stored_bytes == 200


def test_while_all_are_waited_for_there_is_no_room(shelf: Shelf) -> None:
    refs = [shelf.put(data(number), SEEN) for number in (1, 2)]
    with pytest.raises(QueueFull):
        shelf.put(data(3), SEEN)
    shelf.release(refs[0])
    assert shelf.put(data(3), SEEN).media_type == "image/png"


def test_a_cameras_frame_is_used_and_never_deleted(shelf: Shelf, frames: FrameStore) -> None:
    camera = frames.put(data(1), width=4, height=4)
    shelf.release(shelf.put(data(1), SEEN))
    assert shelf.stored_bytes == 0
    for number in (2, 3, 4, 5):
        shelf.release(shelf.put(data(number), SEEN))
    assert frames.read(camera) == data(1)


def test_the_same_picture_twice_is_kept_until_both_are_answered(shelf: Shelf, frames: FrameStore) -> None:
    first, again = shelf.put(data(1), SEEN), shelf.put(data(1), SEEN)
    shelf.release(first)
    shelf.put(data(2), SEEN)
    with pytest.raises(QueueFull):
        shelf.put(data(3), SEEN)
    assert frames.read(again) == data(1)


def test_after_a_restart_what_was_stored_is_known(tmp_path: Path, shelf: Shelf, frames: FrameStore) -> None:
    refs = [shelf.put(data(number), SEEN) for number in (1, 2)]
    later = Shelf(frames, FrameStore(tmp_path / "own"), budget_bytes=250)
    later.load()
    assert later.stored_bytes == 200
    later.put(data(3), SEEN)
    assert not all(frames.path(ref.sha256).exists() for ref in refs)


def test_a_picture_that_could_not_be_stored_leaves_nothing_that_nobody_counts(
    tmp_path: Path, shelf: Shelf, frames: FrameStore
) -> None:
    frames.root.write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="director"):
        shelf.put(data(1), SEEN)
    assert list(FrameStore(tmp_path / "own")) == []
    assert shelf.stored_bytes == 0
