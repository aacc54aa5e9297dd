"""What the card says of a root that is to be read-only."""

import pytest

from roost_provisioning.boot_test.sealing import Root, wrong

FIRST, SECOND = b"first boot\n", b"first boot\nsecond boot\n"


@pytest.mark.parametrize(
    ("asked", "sealed", "log", "says"),
    [
        (True, True, FIRST, ""),
        (True, True, SECOND, "the second boot wrote to it"),
        (True, False, SECOND, "and has not"),
        (False, False, SECOND, ""),
        (False, False, FIRST, "left no trace"),
    ],
)
def test_a_root_is_read_only_when_it_was_asked_for_and_only_then(
    asked: bool, sealed: bool, log: bytes, says: str
) -> None:
    found = wrong(Root(asked, sealed, FIRST), Root(asked, sealed, log))
    assert says in found
    assert bool(found) == bool(says)
