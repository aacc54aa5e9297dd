"""When a role that ended is started again: a pure policy. Time and chance are arguments.

Rules: the first restart is quick (recovery within seconds, promise S1); each further failure in a row waits twice
as long, up to a ceiling, so that a role that cannot start does not burn the machine; a process that ran for
`healthy_ns` is forgiven. Every wait is shortened by up to `jitter` of itself, so that roles felled by one cause
(the broker's death) do not return in the same instant. It never gives up: an operator may repair the cause.
"""

from dataclasses import dataclass

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Waits in nanoseconds; `jitter` is a share from 0 to 1."""

    first_ns: int = 200 * MS
    ceiling_ns: int = 30 * SECOND
    healthy_ns: int = 10 * SECOND
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.first_ns <= self.ceiling_ns:
            raise Misuse("A restart policy needs 0 < first_ns <= ceiling_ns.", "Correct the two waits.")
        if self.healthy_ns < 0 or not 0 <= self.jitter <= 1:
            raise Misuse("A restart policy needs healthy_ns >= 0 and jitter from 0 to 1.", "Correct them.")


@dataclass(frozen=True, slots=True)
class Restart:
    """Start again at `due_ns`; `failures` counts the exits in a row and goes into the next decision."""

    due_ns: int
    failures: int


def after_exit(policy: RestartPolicy, *, failures: int, started_ns: int, now: int, chance: float) -> Restart:
    """Decide about a process that was started at `started_ns` and has just ended.

    `failures` is that of the last decision (0 at first); `chance` is a random number from 0 to 1.
    """
    failures = 1 if now - started_ns >= policy.healthy_ns else failures + 1
    doublings = min(failures - 1, 40)  # 2**40 × the smallest first wait is past every ceiling
    wait = min(policy.first_ns << doublings, policy.ceiling_ns)
    wait -= int(wait * policy.jitter * min(max(chance, 0.0), 1.0))
    return Restart(due_ns=now + wait, failures=failures)
