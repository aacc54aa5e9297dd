"""What is drawn and printed: plain values, made from a file of rows or from what a device keeps. JSON-able."""

import msgspec

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.alarms.episode import Episode, Marker
from roost_rendezvous.analytics.alarms.standing import SignalStanding


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts between edges, in milliseconds; `counts[i]` lies from `edges[i]` to `edges[i + 1]`. Raises `Misuse`."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(left < right for left, right in zip(self.edges, self.edges[1:], strict=False))
        if len(self.edges) != len(self.counts) + 1 or not rising or min(self.counts, default=0) < 0:
            raise Misuse("A histogram has rising edges, one more than counts.", "Give edges and counts that fit.")

    @property
    def total(self) -> float:
        """All that was counted."""
        return sum(self.counts)


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Where a period's values lay: five quantiles."""

    at: int
    """Nanoseconds, wall clock: the middle of the period."""
    count: float
    low: float
    quarter: float
    half: float
    three: float
    high: float


class Bands(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution over time, e.g. the scores of one label."""

    name: str
    unit: str = ""
    ends: tuple[float, float] = (0.05, 0.95)
    """Which quantiles `low` and `high` are."""
    periods: tuple[Band, ...] = ()


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened in a period, beside what was expected."""

    start: int
    end: int
    seen: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def outside(self) -> bool:
        """Whether something was expected, and this is not it."""
        if self.expected is None or self.low is None or self.high is None:
            return False
        return not self.low <= self.seen <= self.high


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of one thing over time."""

    name: str
    periods: tuple[Rate, ...] = ()


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the requests that were looked at."""

    model: str
    versions: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    """Before or after the official result."""
    declined: int = 0
    late: int = 0
    """Of the answered ones: after the official result."""
    absent: int = 0
    """Neither an answer nor a refusal stands beside the request."""
    official: int | None = 0
    """Results that name it. None: the source does not know whose answers were official, nor what was asked."""
    half_ms: float | None = None
    """Median from the request's issue to the answer; then the slowest twentieth and hundredth."""
    slow_ms: float | None = None
    slowest_ms: float | None = None
    compute_ms: float | None = None
    """Mean of its computing alone."""
    busy: float | None = None
    """Share of its busiest period in which it computed; 1: it could not have done more."""
    agrees: float | None = None
    """Share of the requests with both in which its best label was the official one (of another model)."""
    compared: int = 0

    @property
    def room(self) -> float | None:
        """How many times as many requests as in its busiest period one process of it could take."""
        return 1 / self.busy if self.busy else None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Was every request answered in time?"""

    requests: int = 0
    in_time: int = 0
    """With an official result within its deadline, be it a default."""
    by_model: int = 0
    """Of these, answered by a model."""
    unknown: int = 0
    """Without a deadline or without a trace of a result; they are in no share."""
    causes: dict[str, int] = {}

    @property
    def attained(self) -> float | None:
        """Share of the known ones that were in time."""
        known = self.requests - self.unknown
        return self.in_time / known if known else None


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """How the rate of requests moves: the second half of the time against the first, with a 95 % interval."""

    ratio: float
    low: float
    high: float


class Halves(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution in the first half of the time and in the second, at the same quantiles."""

    name: str
    points: tuple[tuple[float, float], ...]
    """First, second; rising."""


class Slow(msgspec.Struct, frozen=True, kw_only=True):
    """A group of slow ones beside the rest of a latency histogram."""

    share: float
    from_ms: float
    times: float
    """So many times as slow as most."""


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """One task in one period."""

    task: str
    service: Service = Service()
    rates: Rates = Rates(name="requests")
    trend: Trend | None = None
    latency: Histogram | None = None
    first_half: Histogram | None = None
    """Latency in the first half of the time, which is what is usual for the second."""
    second_half: Histogram | None = None
    corrected: Histogram | None = None
    """Latency with the requests that a hold kept away put back (coordinated omission)."""
    deadline_ms: int = 0
    models: tuple[ModelLine, ...] = ()
    labels: dict[str, int] = {}
    scores: tuple[Bands, ...] = ()
    label_rates: tuple[Rates, ...] = ()
    halves: tuple[Halves, ...] = ()
    """Scores of the labels seen most, half against half."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report shows."""

    source: str
    made_at: int
    since: int
    until: int
    tasks: tuple[TaskReport, ...] = ()
    standing: tuple[SignalStanding, ...] = ()
    """Everything that is watched."""
    alarms: tuple[Episode, ...] = ()
    marks: tuple[Marker, ...] = ()
    left_out: dict[str, int] = {}
    """What could not be used, and how often, by reason."""
    notes: tuple[str, ...] = ()
    next_at: int = 0
    """Nanoseconds: when the next window is complete, where there is one alone yet; 0: that is not so, or not known."""
    neighbours: tuple[str, ...] = ()
    """Who is slower while somebody else is at work, in sentences; empty where nobody looked."""
    inputs: tuple[str, ...] = ()
    """What the newest looks at models' inputs found, and how old they are, in sentences."""
