"""How often somebody may ask: so many at once, then so many a minute. Pure: time is an argument."""

from collections import OrderedDict
from collections.abc import Hashable

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse


class Throttle:
    """One bucket for each who asks, for the last `remembered` of them; who was forgotten begins with a full one."""

    def __init__(self, *, burst: int, per_minute: int, remembered: int = 1000) -> None:
        if burst < 1 or per_minute < 1 or remembered < 1:
            raise Misuse("A throttle lets at least one through.", "Use 1 or more.")
        self._cost = 60 * SECOND // per_minute
        self._room = burst * self._cost
        self._remembered = remembered
        self._paid: OrderedDict[Hashable, int] = OrderedDict()
        """Until which moment what was asked so far is paid for."""

    def lets(self, who: Hashable, now: int) -> bool:
        """Whether one more is let through at this monotonic time; it counts when it is."""
        paid = max(self._paid.pop(who, now), now)
        good = paid + self._cost - now <= self._room
        self._paid[who] = paid + self._cost if good else paid
        if len(self._paid) > self._remembered:
            self._paid.popitem(last=False)
        return good
