from roost_broker.bus import Delivery
from roost_models.scaffold.marks import MAX_HELD, MAX_WAIT_NS, Marks


def token(name: str) -> Delivery:
    return Delivery("input", name.encode())


def test_a_token_with_nothing_open_before_it_passes_at_once() -> None:
    one = token("1")
    assert Marks().arrived(one, (), 0) == [one]


def test_a_token_passes_when_the_last_request_before_it_is_closed_and_later_ones_do_not_matter() -> None:
    marks, one = Marks(), token("1")
    assert marks.arrived(one, ("a", "b"), 0) == []
    assert marks.closed("later", 1) == []
    assert marks.closed("b", 1) == []
    assert marks.closed("a", 2) == [one]
    assert marks.closed("a", 3) == []


def test_tokens_keep_their_order() -> None:
    marks, one, two = Marks(), token("1"), token("2")
    marks.arrived(one, ("a",), 0)
    assert marks.arrived(two, (), 0) == []
    assert marks.closed("a", 1) == [one, two]


def test_a_request_that_never_ends_holds_a_token_no_longer_than_the_bound() -> None:
    marks, one = Marks(), token("1")
    marks.arrived(one, ("hangs",), 5)
    assert marks.deadline() == 5 + MAX_WAIT_NS
    assert marks.due(4 + MAX_WAIT_NS) == []
    assert marks.due(5 + MAX_WAIT_NS) == [one]
    assert marks.deadline() is None


def test_no_more_than_so_many_tokens_are_held() -> None:
    marks = Marks()
    passed = [token for number in range(MAX_HELD + 3) for token in marks.arrived(token_of(number), ("a",), 0)]
    assert [token.payload for token in passed] == [b"0", b"1", b"2"]


def token_of(number: int) -> Delivery:
    return token(str(number))
