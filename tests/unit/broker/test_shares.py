"""Shares by hash: nested, even, independent, and the same everywhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.shares import draw, in_share, place

TOTAL = 20_000


def within(count: int, chance: float, total: int = TOTAL) -> bool:
    return abs(count - chance * total) <= 3 * math.sqrt(chance * (1 - chance) * total)


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_nobody_leaves_while_a_share_only_grows(name: str, key: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert not in_share(name, key, less) or in_share(name, key, more)


@given(st.text(), st.text())
def test_everybody_is_in_the_whole_and_nobody_in_nothing(name: str, key: str) -> None:
    assert in_share(name, key, 1)
    assert not in_share(name, key, 0)
    assert 0 <= place(name, key) < 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.97])
def test_a_share_is_what_it_says_within_three_standard_errors(share: float) -> None:
    assert within(sum(in_share("challenger", f"camera-{n}", share) for n in range(TOTAL)), share)


def test_shares_of_different_names_are_independent() -> None:
    both = sum(in_share("one", f"{n}", 0.5) and in_share("other", f"{n}", 0.5) for n in range(TOTAL))
    assert within(both, 0.25)


def test_the_hash_is_fixed_for_other_programs_must_find_the_same() -> None:
    # printf 'challenger\\0door' | sha256sum
    assert place("challenger", "door") == (0x4F91D63E7890C214 >> 11) / 2**53


def test_a_draw_has_its_chances_and_does_not_depend_on_the_order_of_the_table() -> None:
    chances = {"b": 0.2, "c": 0.5, "a": 0.3}
    drawn = [draw(chances, f"r{n}") for n in range(TOTAL)]
    assert all(within(drawn.count(name), chance) for name, chance in chances.items())
    assert drawn == [draw(dict(sorted(chances.items())), f"r{n}") for n in range(TOTAL)]


def test_chances_that_add_up_to_a_hair_less_than_one_still_draw_somebody() -> None:
    assert draw({"a": 0.0, "b": 0.0}, "r") == "b"
