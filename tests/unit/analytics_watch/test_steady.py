"""The time that detectors live in, whatever is done to the wall clock."""

from roost_rendezvous.analytics.watch.steady import Steady

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
WALL = 1_800_000_000 * SECOND


def test_a_clock_set_by_a_day_is_told_once_and_not_followed() -> None:
    steady = Steady("boot", 0, WALL, credible=True)
    assert steady.look(10 * SECOND, WALL + 10 * SECOND + DAY, credible=True) == DAY
    assert steady.look(20 * SECOND, WALL + 20 * SECOND + DAY, credible=True) == 0
    assert steady.now(20 * SECOND) == WALL + 20 * SECOND
    assert steady.of(WALL + 15 * SECOND + DAY, 20 * SECOND, within=DAY) == WALL + 15 * SECOND
    assert steady.look(30 * SECOND, WALL + 30 * SECOND, credible=True) == -DAY


def test_a_board_without_a_battery_is_set_right_without_a_word() -> None:
    steady = Steady("boot", 0, 5 * SECOND, credible=False)
    assert steady.look(SECOND, 6 * SECOND, credible=False) == 0
    assert steady.look(2 * SECOND, WALL, credible=True) == 0
    assert steady.now(3 * SECOND) == WALL + SECOND
    assert steady.away == WALL - 7 * SECOND


def test_a_new_process_of_the_same_boot_goes_on_and_after_a_reboot_the_device_was_away() -> None:
    first = Steady("boot", 0, WALL, credible=True)
    first.now(100 * SECOND)
    second = Steady("boot", 160 * SECOND, WALL + DAY, credible=True, kept=first.snapshot())
    assert (second.now(160 * SECOND), second.away) == (WALL + 160 * SECOND, 0)
    third = Steady("later", 7 * SECOND, WALL + 500 * SECOND, credible=True, kept=second.snapshot())
    assert (third.now(7 * SECOND), third.away) == (WALL + 500 * SECOND, 340 * SECOND)
    fourth = Steady("last", 0, 9 * SECOND, credible=False, kept=third.snapshot())  # its clock was never set
    assert fourth.now(0) == WALL + 500 * SECOND


def test_what_says_that_it_comes_from_the_future_or_from_long_ago_is_now() -> None:
    steady = Steady("boot", 0, WALL, credible=True)
    now = WALL + 60 * SECOND
    assert steady.of(WALL + 50 * SECOND, 60 * SECOND, within=DAY) == WALL + 50 * SECOND
    assert steady.of(WALL + 70 * SECOND, 60 * SECOND, within=DAY) == now
    assert steady.of(WALL - 2 * DAY, 60 * SECOND, within=DAY) == now
