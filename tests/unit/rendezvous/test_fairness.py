"""How many words a model may say before they are dropped unread."""

from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import MS, SECOND
from roost_rendezvous.server.fairness import WordBudget


def said(budget: WordBudget, model: str, count: int, now: int = 0) -> int:
    """How many of so many words are read."""
    return sum(budget.allows(model, now) for _ in range(count))


def test_a_model_that_floods_is_cut_short_and_the_others_are_not() -> None:
    budget = WordBudget(100, 8)
    assert said(budget, "flooder", 10_000) == 100
    assert said(budget, "champion", 50) == 50


def test_a_model_that_answers_every_request_is_read_at_any_rate() -> None:
    budget = WordBudget(10, 8)
    for _ in range(5_000):  # all at the same moment
        budget.request_arrived()
        assert said(budget, "champion", 2) == 2  # a decline, and a score after all


def test_a_flood_among_requests_gets_two_words_for_each() -> None:
    budget = WordBudget(10, 8)
    assert said(budget, "flooder", 10) == 10
    for _ in range(100):
        budget.request_arrived()
        assert said(budget, "flooder", 50) == 2


def test_credit_returns_with_time_up_to_its_bound() -> None:
    budget = WordBudget(100, 8)
    said(budget, "model", 100)
    assert said(budget, "model", 100, 100 * MS) == 20
    assert said(budget, "model", 1_000, 3_600 * SECOND) == 100


def test_a_flood_of_names_shares_one_credit_and_takes_no_memory() -> None:
    budget = WordBudget(10, 3)
    names = [f"m{number}" for number in range(1_000)]
    assert sum(said(budget, name, 20) for name in names) == 4 * 10  # three by name, all the others together
    assert len(budget._credits) == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 50), st.booleans()), max_size=300))
def test_whatever_happens_nobody_is_read_beyond_burst_growth_and_requests(steps: list[tuple[str, int, bool]]) -> None:
    budget, now, requests = WordBudget(10, 8), 0, 0
    read = {"a": 0, "b": 0}
    for model, ahead, asked in steps:
        now += ahead * MS  # a clock that steps back grants nothing twice
        if asked:
            budget.request_arrived()
            requests += 1
        read[model] += budget.allows(model, now)
    latest = sum(max(0, ahead) for _, ahead, _ in steps) * MS
    for count in read.values():
        assert count <= 10 + 2 * requests + 200 * latest / SECOND + 1
