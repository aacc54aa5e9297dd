"""Time that passes is an observation: looks come one by one or together, and one that fails is not tried again."""

import pytest
from watch_world import BEGIN, HOUR, MINUTE, QUICK, SECOND, House

from roost_rendezvous.analytics.watch.observed import Passed, Resumed, pack, unpack
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.analytics.watch.windowing import Windowing


def lived(hours: float = 3) -> Watching:
    watch, house = Watching(QUICK), House()
    for one in house.until(BEGIN + round(hours * HOUR)):
        watch.handle(one)
    return watch


def test_looks_that_are_asked_for_one_by_one_are_those_that_an_observation_makes() -> None:
    once, apart = lived(), lived()
    later = Passed(once.now + 5 * HOUR)
    once.handle(later)
    looks = []
    while (look := apart.look_before(later)) is not None:
        looks.append(look)
        apart.expire(look)
    apart.handle(later)
    assert len(looks) == 5 * HOUR // (QUICK.look_s * SECOND)
    assert apart.look_before(later) is None
    assert repr(apart.snapshot()) == repr(once.snapshot())


def test_the_first_observation_and_the_end_of_an_absence_make_no_looks() -> None:
    watch = Watching(QUICK)
    assert watch.look_before(Passed(BEGIN)) is None
    watch = lived()
    assert watch.look_before(Resumed(watch.now + 5 * HOUR, 5 * HOUR)) is None


def test_passed_time_settles_a_request_and_is_not_taken_for_the_beginning_of_the_watch() -> None:
    watch, house = Watching(QUICK), House()
    watch.handle(Passed(BEGIN - MINUTE))
    assert watch.overview("").since == 0
    for one in house.request():
        watch.handle(one)
    assert (watch.open_requests, watch.deadline) == (1, house.now + 10_150 * SECOND // 1_000)
    watch.handle(unpack(pack(Passed(watch.deadline or 0))))
    assert (watch.open_requests, watch.deadline) == (0, None)


class BrokenWindows(Windowing):
    """Fails at every look."""

    asked = 0

    def look(self, now: int) -> None:
        self.asked += 1
        raise ArithmeticError("a defect")


def test_a_look_that_fails_is_left_out_and_what_comes_later_is_handled() -> None:
    windows = BrokenWindows()
    watch, house = Watching(QUICK, windows), House()
    for one in house.request():
        watch.handle(one)
    later = Passed(watch.now + 11 * MINUTE)
    with pytest.raises(ArithmeticError):
        watch.handle(later)
    watch.handle(later)
    assert (windows.asked, watch.now, watch.open_requests) == (1, later.heard, 0)
