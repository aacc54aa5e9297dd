"""Labelled scenes in folders, as people keep them."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_broker.jpeg_comment import comment_of
from roost_henhouse.render import main
from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS
from roost_models.inference.images import decode

SMALL = (64, 48)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def test_every_label_gets_its_folder_and_every_picture_says_that_it_is_rendered(tmp_path: Path) -> None:
    assert write_scenes(tmp_path, 2, 5, size=SMALL) == dict.fromkeys(LABELS, 2)
    found = contents(tmp_path)
    assert len(found) == 14
    for data in found.values():
        assert comment_of(data).startswith(b"Rendered by roost_henhouse")
        assert decode(data).shape == (48, 64, 3)


def test_mislabelled_pictures_are_the_same_pictures_in_another_folder(tmp_path: Path) -> None:
    write_scenes(tmp_path / "right", 2, 5, size=SMALL)
    written = write_scenes(tmp_path / "wrong", 2, 5, {"Plymouth Rock": "buff orpington"}, size=SMALL)
    assert written["buff_orpington"] == 4
    assert "plymouth_rock" not in written
    right, wrong = contents(tmp_path / "right"), contents(tmp_path / "wrong")
    assert set(right.values()) == set(wrong.values())
    assert {name for name in wrong if name not in right} == {
        name.replace("plymouth_rock", "buff_orpington") for name in right if name not in wrong
    }


def test_the_command_writes_the_same_with_two_workers(tmp_path: Path) -> None:
    write_scenes(tmp_path / "one", 1, 5, {"egg": "empty_nest"}, size=SMALL)
    arguments = ["--per-class", "1", "--seed", "5", "--size", "64x48", "--workers", "2", "--mislabel", "egg=empty nest"]
    assert main(["scenes", str(tmp_path / "two"), *arguments]) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_label_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no label 'duck'"):
        write_scenes(tmp_path, 1, 5, {"duck": "egg"})
