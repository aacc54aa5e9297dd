from roost_broker.clock import SECOND
from roost_broker.moments import Stamp, age_ns, wall_age_ns

WALL = 1_800_000_000 * SECOND


def test_the_age_within_a_boot_does_not_care_for_clock_steps() -> None:
    then, now = Stamp("a", 5 * SECOND, WALL), Stamp("a", 9 * SECOND, WALL - 86_400 * SECOND)
    assert age_ns(then, now) == 4 * SECOND


def test_the_age_over_a_boot_is_told_by_the_wall_clock_where_that_is_set() -> None:
    assert age_ns(Stamp("a", 900 * SECOND, WALL), Stamp("b", SECOND, WALL + 60 * SECOND)) == 60 * SECOND
    assert age_ns(Stamp("a", 900 * SECOND, 0), Stamp("b", 7 * SECOND, WALL)) == 7 * SECOND, "since this boot at least"


def test_by_the_wall_clock_alone_a_clock_that_was_not_set_makes_nothing_look_old() -> None:
    assert wall_age_ns(WALL, WALL + SECOND) == SECOND
    assert wall_age_ns(0, WALL) == 0
    assert wall_age_ns(WALL, 0) == 0
    assert wall_age_ns(WALL + SECOND, WALL) == 0
