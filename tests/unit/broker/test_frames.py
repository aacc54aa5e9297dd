from pathlib import Path

import msgspec
import pytest

from roost_broker.durable import write_durably
from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore

PICTURE = b"\xff\xd8 not really a JPEG, but bytes are bytes \xff\xd9"


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "frames")


def test_a_frame_is_read_back_by_its_reference(store: FrameStore) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    assert store.read(ref) == PICTURE
    assert ref.bytes == len(PICTURE)
    assert (store.root / ref.path).read_bytes() == PICTURE


def test_the_same_content_is_stored_once(store: FrameStore) -> None:
    first = store.put(PICTURE, width=4, height=3)
    inode = store.path(first.sha256).stat().st_ino
    assert store.put(PICTURE, width=4, height=3) == first
    assert store.path(first.sha256).stat().st_ino == inode
    assert len(list(store)) == 1


def reason(store: FrameStore, ref: object) -> str:
    with pytest.raises(FrameUnavailable) as caught:
        store.read(ref)  # type: ignore[arg-type]  # the tests below pass real references
    return caught.value.reason


def test_a_missing_a_truncated_and_an_altered_frame_are_refused_with_that_reason(store: FrameStore) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    path = store.path(ref.sha256)
    path.write_bytes(PICTURE[:-1])
    assert reason(store, ref) == "truncated"
    path.write_bytes(b"X" + PICTURE[1:])
    assert reason(store, ref) == "altered"
    path.write_bytes(PICTURE + b"X")
    assert reason(store, ref) == "altered"
    path.unlink()
    assert reason(store, ref) == "missing"


def test_a_truncated_frame_is_repaired_by_putting_it_again(store: FrameStore) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    store.path(ref.sha256).write_bytes(PICTURE[:5])
    store.put(PICTURE, width=4, height=3)
    assert store.read(ref) == PICTURE


def test_the_path_in_a_message_cannot_lead_out_of_the_store(store: FrameStore, tmp_path: Path) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    (tmp_path / "secret").write_bytes(b"secret")
    lying = msgspec.structs.replace(ref, path="../secret")
    assert store.read(lying) == PICTURE


def test_a_second_store_adopts_by_link_and_keeps_the_frame_when_the_first_drops_it(
    store: FrameStore, tmp_path: Path
) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    archive = FrameStore(tmp_path / "archive")
    assert archive.adopt(ref, store) is True
    assert archive.path(ref.sha256).stat().st_ino == store.path(ref.sha256).stat().st_ino
    assert archive.adopt(ref, store) is False
    assert store.remove(ref.sha256) == len(PICTURE)
    assert store.remove(ref.sha256) == 0
    assert archive.read(ref) == PICTURE


def test_a_frame_that_is_not_whole_is_neither_adopted_nor_left_in_the_way(store: FrameStore, tmp_path: Path) -> None:
    ref = store.put(PICTURE, width=4, height=3)
    archive = FrameStore(tmp_path / "archive")
    archive.path(ref.sha256).parent.mkdir(parents=True)
    archive.path(ref.sha256).write_bytes(PICTURE[:3])
    assert archive.adopt(ref, store) is True
    assert archive.read(ref) == PICTURE
    store.path(ref.sha256).write_bytes(b"X" + PICTURE[1:])
    with pytest.raises(FrameUnavailable):
        FrameStore(tmp_path / "third").adopt(ref, store)
    assert list(FrameStore(tmp_path / "third")) == []


def test_a_durable_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_durably(target, b"old")
    write_durably(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_a_write_that_fails_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "target" / "taken").mkdir(parents=True)  # a folder with something in it cannot be replaced by a file
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "target", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
