"""Settings whose node is called what its certificate says."""

from pathlib import Path

import pytest

from roost_edge.settings.explain import SettingsError
from roost_edge.settings.loading import load

TEXT = '[node]\nname = "@identity"\ndata = "data"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "roost.toml"
    path.write_text(TEXT)
    return path


def name(file: Path, text: bytes) -> None:
    folder = file.parent / "data" / "identity"
    folder.mkdir(parents=True)
    (folder / "name").write_bytes(text)


def test_an_enrolled_device_has_the_name_of_its_identity(file: Path) -> None:
    name(file, b"coop-ad7qb7\n")
    assert load(file).node.name == "coop-ad7qb7"
    assert load(file, unnamed="other").topics.root == "roost/coop-ad7qb7"


def test_before_it_has_enrolled_the_error_says_what_to_do(file: Path) -> None:
    with pytest.raises(SettingsError, match="roost enrol") as caught:
        load(file)
    assert (caught.value.field, caught.value.line) == ("node.name", 2)


def test_an_images_tree_is_read_under_a_name_for_the_time_being(file: Path) -> None:
    assert load(file, unnamed="image").node.name == "image"


@pytest.mark.parametrize("text", [b"", b"a/b", b"+", b"\xff\x00", b"x" * 500])
def test_a_damaged_name_is_no_name(file: Path, text: bytes) -> None:
    name(file, text)
    with pytest.raises(SettingsError):
        load(file)


def test_a_name_that_is_written_stays(file: Path) -> None:
    name(file, b"coop-1")
    file.write_text(TEXT.replace("@identity", "nest-a"))
    assert load(file).node.name == "nest-a"
