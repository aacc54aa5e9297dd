"""Tokens on their way through a model: each is passed on when every request before it has had its last word.

The wait is bounded in time and in number; a token is late rather than lost. Pure: the desk publishes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from roost_broker.bus import Delivery
from roost_broker.clock import SECOND

MAX_WAIT_NS = 10 * SECOND
MAX_HELD = 16


@dataclass(slots=True)
class _Held:
    delivery: Delivery
    before: set[str]
    until: int


class Marks:
    """Tokens that wait, oldest first. Each method returns those whose time has come, in order."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def arrived(self, delivery: Delivery, open_ids: Iterable[str], now: int) -> list[Delivery]:
        """A token, behind these open requests."""
        self._held.append(_Held(delivery, set(open_ids), now + MAX_WAIT_NS))
        excess = max(0, len(self._held) - MAX_HELD)
        for held in self._held[:excess]:
            held.before.clear()
        return self.due(now)

    def closed(self, request_id: str, now: int) -> list[Delivery]:
        """A request has had its last word."""
        for held in self._held:
            held.before.discard(request_id)
        return self.due(now) if self._held else []

    def due(self, now: int) -> list[Delivery]:
        """Tokens with nothing open before them, or whose wait is over; never past an older token."""
        ready = []
        while self._held and (not self._held[0].before or self._held[0].until <= now):
            ready.append(self._held.pop(0).delivery)
        return ready

    def deadline(self) -> int | None:
        """When `due` must be asked at the latest."""
        return self._held[0].until if self._held else None
