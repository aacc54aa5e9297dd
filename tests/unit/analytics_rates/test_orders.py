"""The book's n-th order differences."""

import json
import random

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.orders import Orders


def steady(count: int, gap: float, orders: Orders | None = None) -> Orders:
    found = orders or Orders((1, 4, 16))
    for _ in range(count):
        found.elapse(gap)
        found.occur()
    return found


def test_the_first_order_is_the_time_since_the_last_event():
    orders = steady(50, 1.0)
    orders.elapse(7.5)
    assert orders.differences()[0].order == 1
    assert orders.differences()[0].expected == pytest.approx(7.5)


def test_a_stop_is_strange_soon_and_steady_events_are_not():
    orders = steady(200, 1.0)
    assert orders.surprise == 0.0
    orders.elapse(25.0)
    assert orders.surprise > 5.0


def test_a_small_increase_needs_a_large_order():
    orders = steady(400, 1.0, Orders((4, 256)))
    steady(256, 0.7, orders)
    few, many = orders.differences()
    assert few.against < 1.0
    assert many.against > 10.0


def test_a_decrease_that_goes_on_is_seen_without_an_event():
    orders = steady(100, 1.0)
    steady(16, 2.0, orders)
    before = orders.surprise
    orders.elapse(4.0)
    assert orders.surprise > before


def test_orders_longer_than_the_history_are_left_out():
    assert [difference.order for difference in steady(10, 1.0).differences()] == [1, 4]
    assert Orders().surprise == 0.0


def test_independent_events_are_seldom_very_strange():
    draw, orders, strange = random.Random(4), Orders((1, 4, 16, 64)), 0
    for _ in range(3_000):
        orders.elapse(draw.expovariate(1.0))
        orders.occur()
        strange += orders.surprise > 4.0
    assert strange == 0


def test_restored_orders_go_on_where_the_others_were():
    first, second = steady(300, 1.0), Orders((1, 4, 16))
    second.restore(json.loads(json.dumps(first.snapshot())))
    for orders in (first, second):
        orders.elapse(9.0)
    assert second.surprise == pytest.approx(first.surprise, abs=1e-4)
    assert [one.expected for one in second.differences()] == pytest.approx(
        [one.expected for one in first.differences()]
    )


@pytest.mark.parametrize("wrong", [(), (0, 1), (4, 2), (1, 10_000)])
def test_orders_that_cannot_be_kept_are_refused(wrong: tuple[int, ...]):
    with pytest.raises(Misuse):
        Orders(wrong)
