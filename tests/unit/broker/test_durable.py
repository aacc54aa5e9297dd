import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_broker.durable import rename_durably, write_durably


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_a_secret_is_for_its_owner_alone_even_where_everybody_could_read_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "key"
    write_durably(target, b"public so far")
    assert mode(target) == 0o666
    write_durably(target, b"secret", mode=0o600)
    assert (mode(target), target.read_bytes()) == (0o600, b"secret")


def test_a_renamed_file_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    rename_durably(tmp_path / "new", tmp_path / "old")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old", b"new")]


def test_a_renamed_folder_takes_all_that_is_in_it_along(tmp_path: Path) -> None:
    write_durably(tmp_path / "making" / "deep" / "file", b"content")
    (tmp_path / "making" / "empty").mkdir()
    rename_durably(tmp_path / "making", tmp_path / "made")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("made", "made/deep", "made/deep/file", "made/empty")
    ]


def test_a_folder_does_not_replace_one_with_something_in_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "making" / "file", b"new")
    write_durably(tmp_path / "made" / "file", b"old")
    with pytest.raises(OSError, match="not empty"):
        rename_durably(tmp_path / "making", tmp_path / "made")
    assert (tmp_path / "made" / "file").read_bytes() == b"old"
