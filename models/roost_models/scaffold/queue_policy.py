"""What a scaffold does when its model is behind: a pure core (architecture §3, §7).

Rules:

1. The model computes one thing at a time. A request that finds it free is evaluated at once.
2. At most `max_waiting` requests wait. When one more comes the model is behind, and what cannot be served any more is
   declined *now*, not when the model comes back, so that nobody waits for it in vain:
   `skip` keeps the newest alone; `batch` lets the oldest go.
3. When the model is free again, `skip` takes the oldest that waits; `batch` takes the oldest ones, as many as the
   largest batch size that they fill.
4. A request whose time is over is declined `expired` as soon as that is so.
5. Every request gets exactly one `Evaluate` or `Decline`. The newest request is never declined `behind`.

With `skip` and `max_waiting` 1 an answer is never older than two evaluations, whatever the load.
What it does not do: know requests (duplicates are the scaffold's affair), or interrupt an evaluation.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_broker.clock import MS
from roost_broker.errors import Misuse
from roost_models.bundle.manifest import Manifest

DeclineReason: TypeAlias = Literal["behind", "expired"]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Bounds of the queue; from the bundle's `queue` and `batch`."""

    strategy: Literal["skip", "batch"] = "skip"
    max_waiting: int = 1
    max_age_ns: int | None = None
    sizes: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.max_waiting < 1:
            raise Misuse("A scaffold lets at least one request wait.", "Set max_waiting to 1 or more.")
        if self.max_age_ns is not None and self.max_age_ns < 1:
            raise Misuse("A largest age is more than nothing.", "Leave max_age_ms out for none.")
        if not self.sizes or self.sizes[0] != 1 or sorted(set(self.sizes)) != list(self.sizes):
            raise Misuse("Batch sizes begin with 1 and rise.", "For example 1, 4, 16.")

    @classmethod
    def of(cls, manifest: Manifest) -> "QueueSettings":
        """As a bundle says."""
        age = manifest.queue.max_age_ms
        return cls(
            strategy=manifest.queue.strategy,
            max_waiting=manifest.queue.max_waiting,
            max_age_ns=None if age is None else age * MS,
            sizes=tuple(manifest.batch.sizes),
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request; `expires` is the monotonic moment after which nobody wants an answer, or None."""

    request_id: str
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The model is free again, however the evaluation ended."""


Event: TypeAlias = Arrived | Finished


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Evaluate these together, in this order."""

    request_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decline:
    """Decline these at once."""

    request_ids: tuple[str, ...]
    reason: DeclineReason


Action: TypeAlias = Evaluate | Decline


@dataclass(frozen=True, slots=True)
class _Waiting:
    request_id: str
    expires: int | None


class QueuePolicy:
    """See the module. Times are monotonic nanoseconds."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self._waiting: deque[_Waiting] = deque()
        self._busy = False

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether the model computes."""
        return self._busy

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """What is to be done about an event. Call `expire(now)` first."""
        if isinstance(event, Finished):
            self._busy = False
            return self._next()
        return self._arrive(event, now)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Decline what is too old."""
        over = tuple(item.request_id for item in self._waiting if item.expires is not None and item.expires <= now)
        if not over:
            return ()
        self._waiting = deque(item for item in self._waiting if item.expires is None or item.expires > now)
        return (Decline(over, "expired"),)

    def deadline(self) -> int | None:
        """When `expire` will next have something to do."""
        return min((item.expires for item in self._waiting if item.expires is not None), default=None)

    def _arrive(self, event: Arrived, now: int) -> tuple[Action, ...]:
        expires = self._expiry(event.expires, now)
        if expires is not None and expires <= now:
            return (Decline((event.request_id,), "expired"),)
        self._waiting.append(_Waiting(event.request_id, expires))
        return self._too_many() if self._busy else self._next()

    def _expiry(self, expires: int | None, now: int) -> int | None:
        age = self.settings.max_age_ns
        if age is None:
            return expires
        return now + age if expires is None else min(expires, now + age)

    def _too_many(self) -> tuple[Action, ...]:
        if len(self._waiting) <= self.settings.max_waiting:
            return ()
        keep = 1 if self.settings.strategy == "skip" else self.settings.max_waiting
        behind = tuple(self._waiting.popleft().request_id for _ in range(len(self._waiting) - keep))
        return (Decline(behind, "behind"),)

    def _next(self) -> tuple[Action, ...]:
        if not self._waiting:
            return ()
        size = 1
        if self.settings.strategy == "batch":
            size = max(n for n in self.settings.sizes if n <= len(self._waiting))
        self._busy = True
        return (Evaluate(tuple(self._waiting.popleft().request_id for _ in range(size))),)
