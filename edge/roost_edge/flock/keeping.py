"""Which members of a flock are to be started, or ended by force, and how the flock stands: pure.

Times are monotonic, in ns. Rules:

1. A member that ended is started again under the policy for processes; the others are left alone.
2. One that is silent for `watchdog_ns` hangs: it is aborted, so that it says where, and killed `abort_ns` later.
3. One that takes more memory than it may is killed.
4. The flock is ready when each member has been ready or has ended once: one that cannot work must not keep the others
   from being of use.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_edge.processes.restart import RestartPolicy, after_exit

_LATE = 2
"""A member that is silent for so many times its limit should have been ended long ago: the parent does not work."""


@dataclass(frozen=True, slots=True)
class Start:
    """Fork this member."""

    name: str


@dataclass(frozen=True, slots=True)
class End:
    """Send it SIGABRT or SIGKILL."""

    name: str
    how: Literal["abort", "kill"]
    why: str


Action: TypeAlias = Start | End


@dataclass(slots=True)
class _Member:
    due_ns: int | None
    """When it is to be started; None while it runs."""
    memory: int
    started_ns: int = 0
    heard_ns: int = 0
    failures: int = 0
    state: str = "starting"
    settled: bool = False
    aborted_ns: int | None = None
    killed: bool = False


class Keeping:
    """`memory`: each member's name and how many bytes of its own it may take, in the order of starting."""

    def __init__(
        self,
        memory: Mapping[str, int],
        policy: RestartPolicy,
        *,
        now: int,
        watchdog_ns: int = 0,
        abort_ns: int = 5 * SECOND,
    ) -> None:
        if not memory:
            raise Misuse("A flock has at least one member.", "Name the models.")
        if watchdog_ns < 0 or abort_ns < 0:
            raise Misuse("A watchdog's times are not below 0.", "0 as watchdog_ns means that nobody watches.")
        self._policy = policy
        self._watchdog_ns = watchdog_ns
        self._abort_ns = abort_ns
        self._members = {name: _Member(now, limit) for name, limit in memory.items()}

    @property
    def ready(self) -> bool:
        """Rule 4."""
        return all(one.settled for one in self._members.values())

    @property
    def status(self) -> str:
        """How each member stands, in one line."""
        return ", ".join(f"{name} {one.state}" for name, one in self._members.items())

    def due(self, now: int) -> list[Action]:
        """What is to be done now. A `Start` is repeated until `started` is called, an `End` is said once."""
        actions: list[Action] = []
        for name, one in self._members.items():
            if one.due_ns is not None:
                if one.due_ns <= now:
                    actions.append(Start(name))
            elif not one.killed and (end := self._end(name, one, now)) is not None:
                actions.append(end)
        return actions

    def _end(self, name: str, one: _Member, now: int) -> End | None:
        if one.aborted_ns is not None:
            if now - one.aborted_ns < self._abort_ns:
                return None
            one.killed = True
            return End(name, "kill", "did not end when it was aborted")
        if not self._watchdog_ns or now - one.heard_ns < self._watchdog_ns:
            return None
        one.aborted_ns = now
        return End(name, "abort", f"has said nothing for {(now - one.heard_ns) / SECOND:.1f} s")

    def next_ns(self) -> int | None:
        """When `due` may have something new, if nothing happens before; None: never."""
        found = [when for one in self._members.values() if (when := self._next(one)) is not None]
        return min(found, default=None)

    def _next(self, one: _Member) -> int | None:
        if one.due_ns is not None:
            return one.due_ns
        if one.killed:
            return None
        if one.aborted_ns is not None:
            return one.aborted_ns + self._abort_ns
        return one.heard_ns + self._watchdog_ns if self._watchdog_ns else None

    def started(self, name: str, now: int) -> None:
        """It has been forked."""
        one = self._members[name]
        one.due_ns, one.aborted_ns, one.killed = None, None, False
        one.started_ns = one.heard_ns = now
        one.state = "starting"

    def heard(self, name: str, lines: Iterable[str], now: int) -> None:
        """It has said this, in the words of sd_notify(3)."""
        one = self._members[name]
        one.heard_ns = now
        for line in lines:
            word, _, value = line.partition("=")
            if word == "STATUS":
                one.state = value.partition(":")[0]
            elif word == "READY":
                one.settled = True

    def measured(self, name: str, own: int) -> End | None:
        """It has so many bytes for itself. Rule 3."""
        one = self._members[name]
        if one.due_ns is not None or one.killed or own <= one.memory:
            return None
        one.killed = True
        return End(name, "kill", f"takes {own / 1e6:.0f} MB, and may take {one.memory / 1e6:.0f}")

    def ended(self, name: str, now: int, chance: float) -> float:
        """It has ended. Returns after how many seconds it is started again; `chance` is from 0 to 1."""
        one = self._members[name]
        decision = after_exit(self._policy, failures=one.failures, started_ns=one.started_ns, now=now, chance=chance)
        one.failures, one.due_ns = decision.failures, decision.due_ns
        one.state, one.settled = "failed", True
        return max(0, decision.due_ns - now) / SECOND

    def stuck(self, now: int) -> str:
        """Why the flock as a whole does not work; empty while it does. For the watchdog of whoever runs it."""
        if not self._watchdog_ns:
            return ""
        late = _LATE * self._watchdog_ns + self._abort_ns
        names = [n for n, one in self._members.items() if one.due_ns is None and now - one.heard_ns > late]
        return f"{names[0]} hangs and could not be ended" if names else ""
