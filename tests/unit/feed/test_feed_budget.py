from hypothesis import given
from hypothesis import strategies as st

from roost_edge.feed.budget import DAY_MS, MONTH_MS, Budget

NOW = 1_800_000_000_000


def test_a_day_that_is_spent_frees_its_posts_one_by_one() -> None:
    spent = [NOW - DAY_MS + 5, NOW - 10, NOW]
    assert Budget(3, 100).next_ms(spent, NOW) == NOW + 5
    assert Budget(4, 100).next_ms(spent, NOW) == NOW
    assert Budget(3, 100).left(spent, NOW) == (0, 97)


def test_a_month_that_is_spent_waits_for_its_oldest_post() -> None:
    spent = [NOW - MONTH_MS + DAY_MS, NOW - 2 * DAY_MS]
    assert Budget(10, 2).next_ms(spent, NOW) == NOW + DAY_MS


def test_after_the_clock_went_back_posts_of_the_future_still_count() -> None:
    spent = [NOW + 3 * DAY_MS] * 5
    assert Budget(5, 100).left(spent, NOW) == (0, 95)
    assert Budget(5, 100).next_ms(spent, NOW) > NOW


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.integers(0, 3 * DAY_MS), max_size=80),
)
def test_no_window_ever_holds_more_than_its_bound(per_day: int, per_month: int, waits: list[int]) -> None:
    budget, spent, now = Budget(per_day, per_month), [], NOW
    for wait in waits:
        now = max(now + wait, budget.next_ms(spent, now))
        assert min(budget.left(spent, now)) > 0
        spent.append(now)
    for at in spent:
        assert sum(at - DAY_MS < one <= at for one in spent) <= per_day
        assert sum(at - MONTH_MS < one <= at for one in spent) <= per_month
