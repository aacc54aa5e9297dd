import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.ids import is_id, new_id

MS = 1_000_000
WALL = st.integers(0, 2**47).map(lambda ms: ms * MS)


@given(WALL, WALL, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_sort_by_time(one: int, other: int, noise: bytes, more_noise: bytes) -> None:
    if one < other:
        assert new_id(one, noise) < new_id(other, more_noise)


@given(WALL, st.binary(min_size=10, max_size=10))
def test_an_id_is_a_version_7_uuid_of_32_hex_digits(wall: int, noise: bytes) -> None:
    made = new_id(wall, noise)
    assert is_id(made)
    assert made[12] == "7"
    assert made[16] in "89ab"
    assert int(made[:12], 16) == wall // MS


def test_ids_of_one_instant_differ() -> None:
    assert len({new_id(0) for _ in range(1000)}) == 1000


def test_the_same_entropy_gives_the_same_id_and_the_wrong_amount_is_refused() -> None:
    assert new_id(5, bytes(10)) == new_id(5, bytes(10))
    with pytest.raises(ValueError, match="10 bytes"):
        new_id(5, b"short")


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 32 + "\n"])
def test_what_is_no_id_is_told(text: str) -> None:
    assert not is_id(text)
