"""P5: whoever keeps house is watched by somebody else, and there is an alarm when it has not run."""

from roost_broker.clock import SECOND
from roost_broker.room import Room, keeper_counts
from roost_edge.janitor.settings import StoreSettings
from roost_edge.janitor.watch import Alarm, Began, Ended, StoreWatch

MB = 1_000_000
LATE = 300 * SECOND
SETTINGS = StoreSettings(reserve_mb=200, late_s=300)
PLENTY = Room(free=5_000 * MB, size=30_000 * MB)


def watch(*keepers: str) -> StoreWatch:
    return StoreWatch(SETTINGS, keepers or ("decoy-nest",), 0)


def kinds(actions: tuple[object, ...]) -> list[str]:
    return [f"{type(one).__name__} {one.alarm.kind} {one.alarm.who}".rstrip() for one in actions]


def looked(number: int, held: int = 10, budget: int = 100, *, fit: bool = True) -> dict[str, int]:
    return keeper_counts(number, held * MB, budget * MB, floors_fit=fit)


def test_house_keeping_that_runs_is_no_alarm() -> None:
    store = watch()
    for minute in range(60):
        now = minute * 60 * SECOND
        assert store.said("decoy-nest", looked(minute), now) == ()
        assert store.measured(PLENTY, now) == ()


def test_a_keeper_whose_looks_do_not_rise_is_an_alarm_though_it_speaks_and_all_is_well_when_they_do() -> None:
    store = watch()
    store.said("decoy-nest", looked(7), 0)
    assert store.said("decoy-nest", looked(7), LATE - 1) == ()
    assert store.said("decoy-nest", looked(7), LATE) == ()  # silence is judged at a look alone
    assert kinds(store.measured(PLENTY, LATE)) == ["Began not-run decoy-nest"]
    assert store.measured(PLENTY, LATE + 1) == ()  # said once
    assert kinds(store.said("decoy-nest", looked(8), LATE + 2)) == ["Ended not-run decoy-nest"]


def test_a_keeper_that_was_never_there_is_an_alarm() -> None:
    store = watch("decoy-nest", "capture-box")
    store.said("decoy-nest", looked(1), LATE - 1)
    assert kinds(store.measured(PLENTY, LATE)) == ["Began not-run capture-box"]


def test_one_that_was_started_again_and_counts_from_one_has_run() -> None:
    store = watch()
    store.said("decoy-nest", looked(500), 0)
    assert store.said("decoy-nest", looked(1), LATE - 1) == ()
    assert store.measured(PLENTY, 2 * LATE - 2) == ()


def test_what_other_roles_say_is_of_no_concern() -> None:
    store = watch()
    assert store.said("monitor", {"traces": 1}, 0) == ()
    assert store.said("decoy-nest", {"inputs": 1}, LATE - 1) == ()  # an older version: it tells no looks
    assert kinds(store.measured(PLENTY, LATE)) == ["Began not-run decoy-nest"]


def test_over_the_budget_for_long_is_an_alarm_and_for_a_moment_is_none() -> None:
    store = watch()
    assert store.said("decoy-nest", looked(1, held=120), 0) == ()
    assert store.said("decoy-nest", looked(2, held=100), SECOND) == ()
    assert store.said("decoy-nest", looked(3, held=120), 2 * SECOND) == ()
    assert kinds(store.said("decoy-nest", looked(4, held=120), 2 * SECOND + LATE)) == ["Began over-budget decoy-nest"]
    assert kinds(store.said("decoy-nest", looked(5, held=90), 3 * SECOND + LATE)) == ["Ended over-budget decoy-nest"]


def test_floors_that_do_not_fit_the_budget_are_told() -> None:
    (began,) = watch().said("decoy-nest", looked(1, fit=False), 0)
    assert began == Began(
        Alarm("floors", "decoy-nest"),
        "The budget of decoy-nest has no room for archive.floor_frames of every label. Raise archive.budget_mb.",
    )


def test_a_card_that_stays_short_is_an_alarm_and_one_that_is_full_is_one_at_once() -> None:
    store, short = watch(), Room(free=150 * MB, size=30_000 * MB)
    assert store.measured(short, 0) == ()
    store.said("decoy-nest", looked(1), LATE - 1)
    assert kinds(store.measured(short, LATE)) == ["Began short"]
    assert kinds(store.measured(Room(free=20 * MB, size=30_000 * MB), LATE + 1)) == ["Began closed", "Ended short"]
    assert store.measured(PLENTY, LATE + 2) == (Ended(Alarm("closed")),)


def test_a_small_card_is_not_asked_for_more_than_a_tenth() -> None:
    store = watch()
    assert store.measured(Room(free=7 * MB, size=64 * MB), 0) == ()
    store.said("decoy-nest", looked(1), LATE - 1)
    assert store.measured(Room(free=7 * MB, size=64 * MB), LATE) == ()


def test_a_card_that_cannot_be_looked_at_is_an_alarm_until_it_can() -> None:
    store = watch()
    assert kinds(store.measured(None, 0)) == ["Began unseen"]
    assert store.said("decoy-nest", looked(1), SECOND) == ()
    assert kinds(store.measured(PLENTY, 2 * SECOND)) == ["Ended unseen"]
