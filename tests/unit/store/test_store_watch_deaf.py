"""A broker that is away keeps the watch over the store from hearing anybody: no house-keeping is at fault for that."""

from roost_broker.clock import SECOND
from roost_broker.room import Room, keeper_counts
from roost_edge.janitor.settings import StoreSettings
from roost_edge.janitor.watch import Alarm, Began, StoreWatch

LATE = 300 * SECOND
DAY = 86_400 * SECOND
PLENTY = Room(free=5_000_000_000, size=30_000_000_000)
NOT_RUN = Alarm("not-run", "decoy-nest")


def watch() -> StoreWatch:
    store = StoreWatch(StoreSettings(late_s=300), ("decoy-nest",), 0)
    store.said("decoy-nest", keeper_counts(1, 10, 100), 0)
    return store


def test_silence_while_nobody_can_be_heard_is_no_alarm_and_counts_anew_from_then_on() -> None:
    store = watch()
    store.deaf(DAY)
    assert store.measured(PLENTY, DAY) == ()
    assert store.measured(PLENTY, DAY + LATE - 1) == ()
    [began] = store.measured(PLENTY, DAY + LATE)
    assert isinstance(began, Began)
    assert began.alarm == NOT_RUN


def test_who_was_late_before_is_late_until_it_is_heard_to_have_looked() -> None:
    store = watch()
    store.measured(PLENTY, LATE)
    store.deaf(DAY)
    assert store.measured(PLENTY, DAY) == ()
    assert set(store.alarms) == {NOT_RUN}
    store.said("decoy-nest", keeper_counts(2, 10, 100), DAY)
    assert store.alarms == {}


def test_who_is_heard_first_after_a_silence_makes_nobody_else_late() -> None:
    store = StoreWatch(StoreSettings(late_s=300), ("decoy-nest", "capture-box"), 0)
    assert store.said("capture-box", keeper_counts(2, 10, 100), DAY) == ()
    store.deaf(DAY)
    assert store.measured(PLENTY, DAY) == ()
