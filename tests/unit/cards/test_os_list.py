"""The list for Raspberry Pi Imager: what it must say, and what is refused."""

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.image.os_list import Entry, document, init_format_of, problems_of, tags_of

GOOD = Entry(
    name="Roost 1.0 (bookworm, 64-bit)",
    description="For a device that classifies",
    url="https://centre.example/roost.img.xz",
    icon="",
    extract_size=1_200_000_000,
    extract_sha256="ab" * 32,
    image_download_size=300_000_000,
    release_date="2026-11-21",
    init_format="cloudinit",
    devices=("pi4-64bit", "pi3-64bit"),
)


def entry(**words: object) -> dict[str, object]:
    """A good entry as it stands in the file, with some values changed; None takes one away."""
    one = document([GOOD])["os_list"][0] | words
    return {key: value for key, value in one.items() if value is not None}


def test_a_list_describes_the_boards_its_images_are_for() -> None:
    found = document([GOOD])
    assert [device["tags"] for device in found["imager"]["devices"]] == [["pi4-64bit"], ["pi3-64bit"]]
    assert found["os_list"][0]["devices"] == ["pi4-64bit", "pi3-64bit"]
    assert problems_of(found) == []


@pytest.mark.parametrize(
    "words",
    [
        {"name": None}, {"icon": None}, {"devices": []}, {"devices": None}, {"devices": [1]}, {"extract_size": "1"},
        {"extract_size": True}, {"extract_size": 0}, {"extract_sha256": "AB" * 32}, {"extract_sha256": "ab"},
        {"release_date": "21.11.2026"}, {"release_date": "2026-13-01"}, {"init_format": "cloud-init"},
        {"url": "roost.img.xz"}, {"url": "javascript:1"}, {"description": " "}, {"image_download_size": -1},
    ],
)  # fmt: skip
def test_what_imager_would_not_take_is_named(words: dict[str, object]) -> None:
    assert len(problems_of({"os_list": [entry(), entry(**words)]})) == 1
    assert problems_of({"os_list": [entry(), entry(**words)]})[0].startswith("entry 2")


@pytest.mark.parametrize(
    "found", [[], {}, {"os_list": {}}, {"os_list": []}, {"os_list": [1]}, {"os_list": [entry()], "x": 1}]
)
def test_what_is_no_list_is_refused(found: object) -> None:
    assert problems_of(found)


def test_an_image_that_no_board_can_start_is_refused_with_the_reason() -> None:
    with pytest.raises(Misuse, match="no board would show it"):
        document([Entry(**{**{name: getattr(GOOD, name) for name in GOOD.__struct_fields__}, "devices": ()})])


def test_boards_become_the_tags_imager_filters_by() -> None:
    assert tags_of(["pi3b", "zero2w", "pi4b"], pi_5=False) == ("pi4-64bit", "pi3-64bit")
    assert tags_of(["pi3b"], pi_5=True) == ("pi5-64bit", "pi3-64bit")
    assert tags_of([], pi_5=False) == ()


@pytest.mark.parametrize(
    ("first_boot", "official", "taken", "wanted"),
    [
        ("cloud-init", False, False, "cloudinit"),
        ("cloud-init", True, False, "cloudinit-rpi"),
        ("firstrun", True, False, "systemd"),
        ("cloud-init", True, True, "none"),  # Imager would write over what installs Roost
        ("", False, False, "none"),
    ],
)
def test_imager_is_told_how_an_image_takes_its_questions(
    first_boot: str, official: bool, taken: bool, wanted: str
) -> None:
    assert init_format_of(first_boot, official=official, taken=taken) == wanted
