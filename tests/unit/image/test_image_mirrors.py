"""Which Debian mirror a build uses."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.image.mirrors import deb822, mirror_of_machine, named_mirror, one_line

OLD = """\
# deb http://first.example/debian bookworm main
deb [signed-by=/a/key.gpg arch=amd64] http://mirror.example/debian bookworm main contrib
deb-src http://source.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
deb http://other.example/tools stable main
"""
NEW = """\
Types: deb
# a comment
URIs: http://off.example/debian
Suites: bookworm
Enabled: no

Types: deb deb-src
URIs: https://new.example/debian/
Suites: bookworm
 bookworm-updates
Components: main

Types: deb
URIs: https://new.example/security
Suites: bookworm-security
Components: main
"""


def test_lines_that_are_comments_or_sources_are_passed_over() -> None:
    assert one_line(OLD) == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian-security", "bookworm-security"),
        ("http://other.example/tools", "stable"),
    ]


def test_stanzas_that_are_switched_off_are_passed_over_and_lists_go_on_over_lines() -> None:
    assert deb822(NEW) == [
        ("https://new.example/debian/", "bookworm"),
        ("https://new.example/debian/", "bookworm-updates"),
        ("https://new.example/security", "bookworm-security"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "main", "security"),
    [
        ("sources.list", OLD, "http://mirror.example/debian", "http://mirror.example/debian-security"),
        ("sources.list.d/debian.sources", NEW, "https://new.example/debian", "https://new.example/security"),
    ],
)
def test_the_machines_own_mirror_is_found_in_both_ways_of_writing(
    tmp_path: Path, name: str, text: str, main: str, security: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    found = mirror_of_machine(tmp_path)
    assert (found.main, found.security) == (main, security)


def test_a_machine_without_debian_in_its_sources_is_told_to_name_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://other.example/tools stable main\n")
    with pytest.raises(Misuse, match="--mirror"):
        mirror_of_machine(tmp_path)


def test_a_named_mirror_has_its_security_updates_beside_it_unless_said_otherwise() -> None:
    assert named_mirror("https://m.example/debian/").security == "https://m.example/debian-security"
    assert named_mirror("https://m.example/debian", "https://s.example").security == "https://s.example"


def test_what_is_no_address_is_no_mirror() -> None:
    with pytest.raises(Misuse, match="no mirror"):
        named_mirror("m.example/debian")
