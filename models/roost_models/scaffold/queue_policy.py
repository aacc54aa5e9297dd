"""What a scaffold does when its model is behind: a pure core (architecture §3, §7).

Rules:

1. The model computes one thing at a time. A request that finds it free is evaluated at once.
2. At most `max_waiting` requests wait. When one more comes the model is behind, and what cannot be served any more is
   declined *now*, not when the model comes back, so that nobody waits for it in vain:
   `skip` keeps the newest alone; `batch` lets the oldest go.
3. When the model is free again, `skip` takes the oldest that waits; `batch` takes the oldest ones, as many as the
   largest batch size that they fill.
4. `auto` measures what each size costs (`batch_plan`) and takes the size with which the waiting are served soonest and
   nobody's deadline is broken. When that cannot be it lets the oldest go, as many as must; when it is behind a second
   time in a row, batching cannot catch up: it skips to the newest and declines the rest. Where batching does not pay
   it does what `skip` does.
5. A request whose time is over is declined `expired` as soon as that is so.
6. Every request gets exactly one `Evaluate` or `Decline`. The newest request is never declined `behind`.

With `skip` and `max_waiting` 1 an answer is never older than two evaluations, whatever the load.
What it does not do: know requests (duplicates are the scaffold's affair), or interrupt an evaluation.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_broker.clock import MS
from roost_broker.errors import Misuse
from roost_models.bundle.manifest import Manifest
from roost_models.scaffold.batch_plan import BatchPlan

_PATIENCE = 3
"""So many times in a row behind is no burst any more: `auto` skips."""

DeclineReason: TypeAlias = Literal["behind", "expired"]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Bounds of the queue; from the bundle's `queue` and `batch`."""

    strategy: Literal["skip", "batch", "auto"] = "skip"
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
    """The model is free again, however the evaluation ended.

    `typical`: how long it took says something about the next one. Not so after a fault, a failure or a bad picture.
    """

    typical: bool = True


@dataclass(frozen=True, slots=True)
class Warmed:
    """The model is warm. `costs`: batch sizes that work → ns that warming measured (0: not measured)."""

    costs: Mapping[int, int]


Event: TypeAlias = Arrived | Finished | Warmed


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
    had_hope: bool
    """It could have been served in time when it came."""


class QueuePolicy:
    """See the module. Times are monotonic nanoseconds."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self._sizes = settings.sizes
        self._plan = BatchPlan(settings.sizes)
        self._waiting: deque[_Waiting] = deque()
        self._computing = 0
        self._began = 0
        self._lost = False
        """Requests were let go since the model was last free."""
        self._behind = False
        self._overflowed = False
        self._rounds_behind = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether the model computes."""
        return self._computing > 0

    @property
    def behind(self) -> bool:
        """Whether requests were let go lately, and others still wait."""
        return self._lost or self._behind

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """What is to be done about an event. Call `expire(now)` first."""
        if isinstance(event, Arrived):
            return self._arrive(event, now)
        if isinstance(event, Warmed):
            self._sizes = tuple(size for size in self.settings.sizes if size in event.costs)
            self._plan.warm({size: event.costs[size] for size in self._sizes}, now)
            return ()
        return self._finish(event, now)

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

    # -- arrivals -----------------------------------------------------------------------------------------------

    def _arrive(self, event: Arrived, now: int) -> tuple[Action, ...]:
        expires = self._expiry(event.expires, now)
        if expires is not None and expires <= now:
            return (Decline((event.request_id,), "expired"),)
        self._waiting.append(_Waiting(event.request_id, expires, not self._plan.hopeless(expires, now)))
        return self._too_many() if self.busy else self._next(now)

    def _expiry(self, expires: int | None, now: int) -> int | None:
        age = self.settings.max_age_ns
        if age is None:
            return expires
        return now + age if expires is None else min(expires, now + age)

    def _too_many(self) -> tuple[Action, ...]:
        if len(self._waiting) <= self.settings.max_waiting:
            return ()
        self._overflowed = True
        keep = 1 if self.settings.strategy == "skip" else self.settings.max_waiting
        return _declined(self._let_go(list(self._waiting), keep))

    # -- the model is free --------------------------------------------------------------------------------------

    def _finish(self, event: Finished, now: int) -> tuple[Action, ...]:
        if event.typical and self.settings.strategy == "auto":
            self._plan.measured(self._computing, now - self._began, now)
        self._computing = 0
        self._behind, self._lost = self._lost and bool(self._waiting), False
        return self._next(now)

    def _next(self, now: int) -> tuple[Action, ...]:
        if not self._waiting:
            return ()
        if self.settings.strategy == "auto":
            return self._soonest(now)
        size = 1
        if self.settings.strategy == "batch":
            size = max(n for n in self._sizes if n <= len(self._waiting))
        return (self._evaluate(size, now),)

    def _evaluate(self, size: int, now: int) -> Evaluate:
        self._computing, self._began = size, now
        return Evaluate(tuple(self._waiting.popleft().request_id for _ in range(size)))

    def _soonest(self, now: int) -> tuple[Action, ...]:
        """See rule 4."""
        self._overflowed, short = False, self._overflowed
        let_go = self._let_go([item for item in self._waiting if self._plan.hopeless(item.expires, now)], 1)
        short = short or any(item.had_hope for item in let_go)
        expiries = [item.expires for item in self._waiting]
        size = self._plan.size(expiries, now)
        if size is None:
            size = self._plan.most_in_time(expiries, now)
            end = self._plan.end(size, now)
            late = [item for item in self._waiting if item.expires is not None and item.expires < end]
            let_go += self._let_go(late, size)
            short = short or bool(let_go)
        else:
            size = self._plan.probe(expiries, now) or size
        self._rounds_behind = self._rounds_behind + 1 if short else 0
        if self._rounds_behind >= _PATIENCE:
            let_go += self._let_go(list(self._waiting)[:-size], size)
        return *_declined(let_go), self._evaluate(size, now)

    def _let_go(self, items: list[_Waiting], keep: int) -> list[_Waiting]:
        """Of these the oldest, so that `keep` still wait and the newest of all is among them."""
        spare = len(self._waiting) - keep
        newest = self._waiting[-1]
        gone = [item for item in items if item is not newest][: max(0, spare)]
        names = {item.request_id for item in gone}
        self._waiting = deque(item for item in self._waiting if item.request_id not in names)
        self._lost = self._lost or bool(gone)
        return gone


def _declined(items: list[_Waiting]) -> tuple[Action, ...]:
    return (Decline(tuple(item.request_id for item in items), "behind"),) if items else ()
