"""When to try the broker again. Pure: the time and the random number are arguments.

Exponential backoff with jitter, so that a fleet does not return in step after a broker's restart. A connection
must hold for `stable_ns` before the count starts afresh: a broker that greets and hangs up at once, or two
processes that fight over one client id, must not be hammered.
"""

from dataclasses import dataclass

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Delays in nanoseconds."""

    first_ns: int = 100 * MS
    ceiling_ns: int = 10 * SECOND
    stable_ns: int = 5 * SECOND

    def __post_init__(self) -> None:
        if not 0 < self.first_ns <= self.ceiling_ns or self.stable_ns < 0:
            raise Misuse(
                f"The delays {self.first_ns}, {self.ceiling_ns} and {self.stable_ns} are no reconnect policy.",
                "It needs 0 < first_ns <= ceiling_ns and stable_ns >= 0.",
            )

    def delay_ns(self, attempt: int, random: float) -> int:
        """Wait before attempt `attempt` (0 is the first after a loss); `random` is in [0, 1).

        Between half and the whole of the doubled delay.
        """
        whole = min(self.ceiling_ns, self.first_ns << min(attempt, 32))
        return whole // 2 + int(whole // 2 * random)


@dataclass(slots=True)
class Reconnect:
    """The state beside the policy: how often in a row it went wrong."""

    policy: ReconnectPolicy
    attempts: int = 0
    _since: int | None = None

    def connected(self, now: int) -> None:
        """The broker has greeted us."""
        self._since = now

    def lost(self, now: int, random: float) -> int:
        """The connection ended or an attempt failed. Returns nanoseconds to wait before the next attempt."""
        if self._since is not None and now - self._since >= self.policy.stable_ns:
            self.attempts = 0
        self._since = None
        delay = self.policy.delay_ns(self.attempts, random)
        self.attempts += 1
        return delay
