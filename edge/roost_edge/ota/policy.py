"""The bounds of one line's machine; made from the settings, validated at construction."""

from dataclasses import dataclass

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePolicy:
    """Waits in nanoseconds; `jitter` is a share from 0 to 1."""

    retry_first_ns: int = 60 * SECOND
    retry_ceiling_ns: int = 6 * 3600 * SECOND
    jitter: float = 0.5
    tries: int = 3
    """Times that a trial without a verdict (too slow, no memory) is repeated before the bundle is rejected."""
    defer_limit_ns: int = 12 * 3600 * SECOND
    """The longest that a busy device puts an installation off."""
    warm_ns: int = 180 * SECOND
    """From the start of a slot's process to its being ready."""
    deaths: int = 3
    """So many ends of its process within `deaths_window_ns` are too many."""
    deaths_window_ns: int = 3600 * SECOND
    schedule_retry_ns: int = 500 * MS
    schedule_ceiling_ns: int = 60 * SECOND
    min_requests: int = 50
    """Requests before the share of answers is judged."""
    min_answered: float = 0.5
    """A bundle that answers a smaller share of what it is asked is worse than the one before."""

    def __post_init__(self) -> None:
        if not 0 < self.retry_first_ns <= self.retry_ceiling_ns or not 0 <= self.jitter <= 1:
            raise Misuse("A line needs 0 < first wait <= ceiling, and jitter from 0 to 1.", "Correct them.")
        if min(self.tries, self.deaths, self.min_requests) < 1 or not 0 <= self.min_answered <= 1:
            raise Misuse("A line needs at least one try, death and request.", "Correct them.")

    def wait(self, failures: int, chance: float) -> int:
        """How long after the `failures`th failure in a row; `chance` is a random number from 0 to 1."""
        wait = min(self.retry_first_ns << min(max(failures - 1, 0), 40), self.retry_ceiling_ns)
        return wait - int(wait * self.jitter * min(max(chance, 0.0), 1.0))

    def schedule_wait(self, failures: int) -> int:
        """As `wait`, for a schedule that is not in force yet."""
        return min(self.schedule_retry_ns << min(max(failures - 1, 0), 40), self.schedule_ceiling_ns)
