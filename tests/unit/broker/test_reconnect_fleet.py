"""S4: ten thousand devices that lost the same broker at the same moment do not come back in step."""

import random
from collections import Counter
from itertools import pairwise

from roost_broker.clock import MS, SECOND
from roost_broker.reconnect import Reconnect, ReconnectPolicy

DEVICES, ROUNDS = 10_000, 14
SLOTS = 20


def attempts() -> list[list[int]]:
    """Of each device the moments of its attempts, all of which fail at once; all were connected for long."""
    found = []
    for device in range(DEVICES):
        dice = random.Random(device)
        state = Reconnect(ReconnectPolicy())
        state.connected(0)
        now = 3600 * SECOND
        times = []
        for _ in range(ROUNDS):
            now += state.lost(now, dice.random())
            times.append(now - 3600 * SECOND)
        found.append(times)
    return found


ALL = attempts()


def test_each_round_of_attempts_is_spread_over_the_whole_of_its_window() -> None:
    policy = ReconnectPolicy()
    for number in range(ROUNDS):
        whole = min(policy.ceiling_ns, policy.first_ns << number)
        least = whole - whole // 2
        pauses = [times[number] - (times[number - 1] if number else 0) for times in ALL]
        slots = Counter((pause - least) * SLOTS // (whole - least + 1) for pause in pauses)
        assert set(slots) == set(range(SLOTS)), "no part of the window is left out"
        assert max(slots.values()) < 2 * DEVICES // SLOTS, "and none is crowded"


def test_after_an_outage_of_a_minute_no_second_has_more_than_its_share_of_the_devices() -> None:
    policy = ReconnectPolicy()
    late = [at for times in ALL for at in times if 40 * SECOND <= at < 60 * SECOND]
    by_second = Counter(at // SECOND for at in late)
    usual = DEVICES * SECOND / (policy.ceiling_ns * 3 / 4)
    assert max(by_second.values()) < 1.5 * usual
    assert max(Counter(at // MS for at in late).values()) < DEVICES / 200, "no lockstep of a millisecond either"


def test_no_device_hammers_a_broker_that_stays_away() -> None:
    policy = ReconnectPolicy()
    for times in ALL:
        waits = [b - a for a, b in pairwise(times)]
        assert min(waits[8:]) >= policy.ceiling_ns // 2
        assert sum(at < 60 * SECOND for at in times) <= 18
