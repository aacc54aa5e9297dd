"""The comment of a JPEG, by which a rendered picture is known."""

import pytest

from roost_broker.jpeg_comment import comment_of, is_rendered, with_comment

HEADER = b"\xff\xd8\xff\xe0\x00\x04ab"


def test_a_comment_put_into_a_jpeg_is_found_again() -> None:
    assert comment_of(with_comment(HEADER, "Rendered by a test")) == b"Rendered by a test"
    assert comment_of(b"\xff\xd8\xff\xe0\x00\x04ab\xff\xfe\x00\x04cd\xff\xda") == b"cd"


@pytest.mark.parametrize(
    "other", [HEADER, b"", b"\x89PNG", b"\xff\xd8\xff\xe0\x00\x00\xff", b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9]
)
def test_what_has_none_or_is_damaged_has_an_empty_one(other: bytes) -> None:
    assert comment_of(other) == b""


def test_only_a_picture_that_says_so_is_rendered() -> None:
    assert is_rendered(with_comment(HEADER, "Rendered by a test"))
    assert not is_rendered(with_comment(HEADER, "A photograph of what was Rendered by others"))
    assert not is_rendered(HEADER)


def test_a_comment_that_no_segment_can_hold_is_cut_off_and_the_file_stays_whole() -> None:
    made = with_comment(HEADER, "x" * 100_000)
    assert len(comment_of(made)) == 65_533
    assert made.endswith(HEADER[2:])
