"""How much the link may be used, and when pictures may travel. Pure."""

from roost_broker.clock import SECOND
from roost_broker.gateway.settings import FramesWhen, GatewayFrames


class TokenBucket:
    """Bytes a second with a burst. A rate of 0 is no limit. What is urgent may go into debt, which others then pay."""

    def __init__(self, rate: int, burst: int, now: int = 0) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst * SECOND  # in bytes × nanoseconds: integers lose nothing
        self._at = now

    def take(self, size: int, now: int, *, urgent: bool = False) -> bool:
        """Spend `size` bytes; False when they are not there yet. One larger than the burst goes with a full bucket."""
        if not self._rate:
            return True
        self._fill(now)
        if not urgent and self._level < self._needed(size):
            return False
        self._level = max(self._level - size * SECOND, -self._burst * SECOND)
        return True

    def ready_at(self, size: int, now: int) -> int:
        """When `take` of this size will succeed, if nobody else takes before."""
        if not self._rate:
            return now
        self._fill(now)
        missing = self._needed(size) - self._level
        return now if missing <= 0 else now + -(-missing // self._rate)

    def _needed(self, size: int) -> int:
        return min(size, self._burst) * SECOND

    def _fill(self, now: int) -> None:
        if now > self._at:
            self._level = min(self._burst * SECOND, self._level + (now - self._at) * self._rate)
            self._at = now


def in_hours(minute: int, hours: tuple[int, int]) -> bool:
    """Whether a minute of the day lies within [first, last); hours may span midnight."""
    first, last = hours
    return first <= minute < last if first < last else minute >= first or minute < last


def frame_may_go(settings: GatewayFrames, *, alarmed: bool, metered: bool, minute: int) -> bool:
    """Whether a picture may travel now; `alarmed`: an alert shows it, `minute`: of the device's day."""
    when: FramesWhen = settings.metered if metered else settings.send
    match when:
        case "all":
            return True
        case "night":
            return in_hours(minute, settings.night_minutes)
        case "alarmed":
            return alarmed
        case "none":
            return False


def frame_is_wanted(settings: GatewayFrames, *, alarmed: bool) -> bool:
    """Whether a picture is worth noting at all: it may travel at some time, on some link."""
    return any(
        when in ("all", "night") or (when == "alarmed" and alarmed) for when in (settings.send, settings.metered)
    )
