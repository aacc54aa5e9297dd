"""Whether the device has better things to do than to install a bundle. Pure: time and time of day are arguments."""

from collections import deque

from roost_broker.clock import SECOND
from roost_edge.ota.settings import BusySettings

_MINUTE_NS = 60 * SECOND
_QUIET_NS = 30 * SECOND
"""So long after the last motion a camera counts as quiet; motion comes in bouts."""


class Busy:
    """Told of motion and requests; asked for a sentence, empty when there is nothing better to do."""

    def __init__(self, settings: BusySettings) -> None:
        self._settings = settings
        self._moving: set[str] = set()
        self._moved: int | None = None
        # One more than allowed is enough to know that it is too many.
        self._requests: deque[int] = deque(maxlen=settings.requests_per_min + 1)

    def motion(self, camera: str, moving: bool, now: int) -> None:
        """What a camera says."""
        if moving or camera in self._moving:
            self._moved = now
        (self._moving.add if moving else self._moving.discard)(camera)

    def request(self, now: int) -> None:
        """A request has arrived."""
        self._requests.append(now)

    def why(self, now: int, minute_of_day: int) -> str:
        """What the device is busy with; `minute_of_day` is local, from 0 to 1439."""
        if self._settings.motion and (self._moving or (self._moved is not None and now - self._moved < _QUIET_NS)):
            return "something moves before a camera"
        limit = self._settings.requests_per_min
        if limit and len(self._requests) > limit and now - self._requests[0] < _MINUTE_NS:
            return f"more than {limit} requests a minute arrive"
        for hours in self._settings.hours:
            if _within(hours, minute_of_day):
                return f"it is between {hours.replace('-', ' and ')}"
        return ""


def _within(hours: str, minute: int) -> bool:
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in hours.split("-"))
    return first <= minute < last if first <= last else minute >= first or minute < last
