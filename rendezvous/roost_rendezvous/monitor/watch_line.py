"""What waits to be handled by the watch, in the order of arrival. Pure.

    near   in memory: few
    far    behind them, in the journal alone: a range of numbers, read page by page
    loose  behind those, in memory because the card did not take them

So a long journal costs no memory, and a card that fails costs no observation.
"""

from collections import deque
from collections.abc import Sequence

from roost_rendezvous.analytics.watch.observed import Observed

Entry = tuple[int, Observed | bytes]
"""With its number in the journal; 0: it is not in there."""
IN_MEMORY = 500
"""Of more, those that are in the journal are read again from there: some hundred bytes each."""


class Line:
    """See the module. Numbers only grow."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self.handled = 0
        """The newest number that was handled; a save covers up to here."""
        self.newest = 0
        """The newest number in the journal."""
        self._most = in_memory
        self._near: deque[Entry] = deque()
        self._far = (0, 0)
        """After the first number, up to the second."""
        self._loose: deque[Entry] = deque()

    @property
    def behind(self) -> int:
        """Observations that wait."""
        return len(self._near) + self._far[1] - self._far[0] + len(self._loose)

    def found(self, upto: int, newest: int) -> None:
        """At the start: what was handled, and what the journal has beyond."""
        self.handled, self.newest, self._far = upto, max(upto, newest), (upto, max(upto, newest))

    def add(self, observed: Sequence[Observed], newest: int) -> None:
        """More has come, the last of it with the number `newest`; 0: the journal could not take it."""
        first = newest - len(observed) + 1 if newest else 0
        self.newest = max(self.newest, newest)
        beyond = self._far[0] < self._far[1]
        if not self._loose and newest and (beyond or len(self._near) + len(observed) > self._most):
            self._far = (self._far[0] if beyond else first - 1, newest)
            return
        end = self._loose if self._loose or beyond else self._near
        end.extend((first + place if newest else 0, one) for place, one in enumerate(observed))

    def unread(self) -> tuple[int, int] | None:
        """After which number, and up to which, a page must be read before anything can go on; None: nothing must."""
        return self._far if not self._near and self._far[0] < self._far[1] else None

    def read(self, page: Sequence[tuple[int, bytes]]) -> None:
        """A page; an empty one: there is nothing more to be read."""
        self._near.extend(page)
        self._far = (page[-1][0] if page else self._far[1], self._far[1])

    def next(self, most: int) -> list[Entry]:
        """The oldest that are in memory; they stay here until they are `done`."""
        if not self._near and self._far[0] == self._far[1]:
            self._near, self._loose = self._loose, self._near
        return [self._near[place] for place in range(min(most, len(self._near)))]

    def done(self, count: int) -> None:
        """So many of them were handled."""
        for _ in range(count):
            number, _ = self._near.popleft()
            self.handled = max(self.handled, number)
