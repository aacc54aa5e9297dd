"""Names in a sentence that must not grow with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.enumeration import first_of


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
        (["a", "b", "c", "d"], "a, b and 2 more"),
    ],
)
def test_what_does_not_fit_is_counted(names: list[str], said: str) -> None:
    assert first_of(names, 2) == said


def test_what_is_counted_can_be_named() -> None:
    assert first_of(["a and b", "b and c"], 1, "more pairs") == "a and b and 1 more pairs"


@given(st.lists(st.text("abc", min_size=1), max_size=30), st.integers(1, 10))
def test_told_and_counted_together_are_all_of_them(names: list[str], most: int) -> None:
    said, _, rest = first_of(names, most).partition(" and ")
    told = said.split(", ") if said else []
    assert told == names[:most]
    assert len(told) + int(rest.partition(" ")[0] or 0) == len(names)
