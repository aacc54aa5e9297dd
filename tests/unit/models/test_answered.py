from hypothesis import given
from hypothesis import strategies as st

from roost_models.scaffold.answered import Answered


def test_what_was_said_is_remembered_and_a_later_word_replaces_it() -> None:
    answered = Answered()
    answered.put("a", b"one")
    answered.put("a", b"two")
    assert answered.get("a") == b"two"
    assert answered.get("b") is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40))))
def test_both_bounds_hold_and_the_newest_is_always_there(puts: list[tuple[int, int]]) -> None:
    answered = Answered(most=5, most_bytes=100)
    for number, size in puts:
        answered.put(str(number), b"x" * size)
        assert answered.get(str(number)) == b"x" * size
        assert len(answered) <= 5
        assert sum(len(answered.get(str(n)) or b"") for n in range(21)) <= 100
