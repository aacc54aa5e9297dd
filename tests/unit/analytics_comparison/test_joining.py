"""Two models' words on the same request (promises E1, K3)."""

import random

import pytest
from made_rows import row, said

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.comparison.choosing import Choice, choice
from roost_rendezvous.analytics.comparison.joining import join
from roost_rendezvous.analytics.comparison.pairwise import pairwise
from roost_rendezvous.analytics.rows import Row, Word

A, B = Choice(model="a"), Choice(model="b")


def test_rows_of_two_files_in_any_order_join_on_the_request_and_never_on_another_input() -> None:
    ones = [row(number, said("a", x=number / 2000)) for number in range(2000)]
    others = [row(number, said("b", x=number / 2000)) for number in range(2000)]
    for number in range(0, 2000, 40):
        others[number] = row(number, said("b", x=0.5), state={"door": "open"})
    whole = ones + others
    random.Random(3).shuffle(whole)
    joined = join(whole, A, B)
    assert len(joined.pairs) == 1950
    assert [pair for pair in joined.pairs if pair.one.scores != pair.other.scores] == []
    assert [pair for pair in joined.pairs if int(pair.request_id, 16) != round(pair.one.scores["x"] * 2000)] == []
    assert joined.mixed == 50
    assert len(joined.mixed_ids) == 5


def test_order_of_fields_makes_no_other_input() -> None:
    first = row(1, said("a", x=0.5), state={"door": "open", "light": True})
    second = row(1, said("b", x=0.5), state={"light": True, "door": "open"})
    assert len(join([first, second], A, B).pairs) == 1


def test_who_is_silent_while_in_service_is_named_and_counts_as_different() -> None:
    declined = Word(model="b", outcome="declined", reason="behind")
    rows = [row(0, said("a", x=1)), row(1, said("a", x=1), said("b", x=1)), row(2, said("a", x=1), declined)]
    rows += [row(3, said("a", x=1), Word(model="b", outcome="absent")), row(4, said("a", x=1), said("b", x=1))]
    rows += [row(5, said("a", x=1))]
    joined = join(rows, A, B)
    assert (len(joined.pairs), len(joined.lonely), joined.compared) == (2, 2, 4)
    assert joined.missing == {"b": {"not in service": 2, "declined: behind": 1, "silent": 1}}


def test_who_was_not_asked_or_saw_another_input_does_not_count() -> None:
    unasked = Word(model="b", outcome="declined", reason="not-sampled")
    elsewhere = Word(model="b", outcome="absent", reason="other-input")
    both = [row(number, said("a", x=1), said("b", x=1)) for number in (0, 9)]
    joined = join([*both, row(1, said("a", x=1), unasked), row(2, said("a", x=1), elsewhere)], A, B)
    assert (joined.compared, joined.missing) == (2, {"b": {"not asked": 1, "saw another input": 1}})


def test_where_both_are_silent_nothing_is_compared() -> None:
    gone = [Word(model=name, outcome="declined", reason="failed") for name in "ab"]
    joined = join([row(0, said("a", x=1), said("b", x=1)), row(1, *gone)], A, B)
    assert joined.compared == 1
    assert joined.missing == {"a": {"declined: failed": 1}, "b": {"declined: failed": 1}}


def test_a_late_answer_is_an_answer_and_a_row_that_comes_twice_counts_once() -> None:
    late = Word(model="b", outcome="late", scores={"x": 0.5})
    rows = [row(0, said("a", x=0.5), late)] * 3
    joined = join(rows, A, B)
    assert (len(joined.pairs), joined.duplicates) == (1, 2)


def test_versions_are_told_apart_and_two_at_once_must_be_named() -> None:
    both = [Word(model="a", version=version, scores={"x": 0.1}) for version in ("1", "2")]
    rows = [row(0, *both)]
    assert len(join(rows, choice("a@1"), choice("a@2")).pairs) == 1
    with pytest.raises(Misuse, match="Several versions of a") as caught:
        join([row(0, *both, said("b", x=1))], A, B)
    assert "a@1 a@2" in caught.value.remedy
    with pytest.raises(Misuse, match="itself"):
        join(rows, A, A)


def test_more_requests_than_memory_is_meant_for_are_refused() -> None:
    rows = [row(number, said("a", x=1), said("b", x=1)) for number in range(11)]
    with pytest.raises(Misuse, match="more than 10 requests"):
        join(rows, A, B, most=10)


def test_the_table_of_all_pairs_matches_by_request() -> None:
    rows: list[Row] = [row(0, said("a", x=1, y=0), said("b", x=1, y=0), said("c", x=0, y=1))]
    rows += [row(1, said("a", x=1, y=0), said("c", x=0.97, y=0.03))]
    found = pairwise(rows)
    table = {(pair.one, pair.other): (pair.compared, pair.same_label, pair.almost) for pair in found.pairs}
    assert table == {("a", "b"): (1, 1, 1), ("a", "c"): (2, 1, 1), ("b", "c"): (1, 0, 0)}
    assert found.answered == {"a": 2, "b": 1, "c": 2}
