"""What the machine bears: guarantees kept, how traffic changes, head-room of each model, noisy neighbours (M7).

From settled rows alone: a model's compute times and how often it was asked say which share of its time it is busy;
what is left is its head-room. The busiest minute decides, not the mean: a camera's events come in bursts.

A *noisy neighbour* is a model whose work makes another one slower. Each computation of the one is put into one of two
heaps: the other was at work in the moments after its start, or it was not. The window is fixed, as long as a quick
computation of the one: a slow computation would meet everybody more often merely because it is long. The heaps are
compared by ranks (Mann-Whitney), and by the ratio of their middles.

Pure; numpy alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rows import Row

_MS = 1_000_000
_DAY = 86_400 * 1_000 * _MS
_Array: TypeAlias = NDArray[np.float64]


class CapacitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How capacity is looked at."""

    window_s: float = 60.0
    """Length of the busiest stretch."""
    full: float = 0.7
    """Busy for a larger share of the busiest stretch, a model is short of head-room: queues grow fast beyond it."""
    least: int = 30
    """Computations in each heap before neighbours are judged."""
    slower: float = 1.1
    """A neighbour is told from this ratio on …"""
    z: float = 4.0
    """… if it is so many standard errors from chance (4: one pair in 30,000)."""
    cores: int = 0
    """Of the machine; 0: not known, and the whole is not judged."""

    def __post_init__(self) -> None:
        if not 0.001 <= self.window_s <= 86_400:
            raise Misuse(f"window_s is {self.window_s}.", "Use a value from 0.001 to 86400.")
        if not 0 < self.full <= 1:
            raise Misuse(f"full is {self.full}.", "Use a share above 0, up to 1.")
        if self.least < 2 or self.slower < 1 or self.z < 0 or not 0 <= self.cores <= 4_096:
            raise Misuse("least, slower, z or cores is out of bounds.", "least ≥ 2, slower ≥ 1, z ≥ 0, cores ≥ 0.")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One model of one task."""

    task: str
    model: str
    replicas: int
    asked: int
    answered: int
    declined: dict[str, int]
    """By reason; `behind` is what a model says that cannot keep up."""
    missing: int
    """Not a word when the row was settled."""
    rate: float
    """Answers a second, over the whole."""
    compute_ms_p50: float | None
    compute_ms_p99: float | None
    busy: float | None
    """Share of its processes' time spent computing; None: it does not say how long it computes."""
    busy_peak: float | None
    """The same in its busiest stretch."""
    bears: float | None
    """Answers a second when it did nothing else: replicas / mean compute time."""
    head_room: float | None
    """So many times the busiest stretch's load would fill it; below 1 it is overloaded."""
    short: bool
    """It declines because it is behind, or the busiest stretch is beyond `full`."""


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is slower while another one works."""

    task: str
    model: str
    beside: str
    """`task/model` of the other."""
    ratio: float
    """Middle of its compute times with the other at work, to that without."""
    z: float
    with_it: int
    without: int


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How a task kept its word, and how its traffic changes."""

    task: str
    requests: int
    in_sla: float
    """Share of the requests that were answered by their deadline; defaults count as answered."""
    defaults: float
    """Share that was answered by the default alone."""
    per_hour: float
    trend_per_day: float | None
    """Change of the rate a day, as a share of the mean rate (0.05: 5 % more each day); None: too short to say."""
    trend_error: float | None
    """Standard error of it, from how the stretches really scatter."""


class CapacityReport(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    services: tuple[Service, ...]
    loads: tuple[Load, ...]
    neighbours: tuple[Neighbour, ...]
    inseparable: tuple[tuple[str, str], ...]
    """Pairs that always or never work at the same time: whether one disturbs the other cannot be told."""
    compared: int
    """Pairs of which it could be told."""
    too_few: tuple[str, ...]
    """`task/model` with fewer computations than two heaps need."""
    cores_busy: float | None
    """Cores that all models together kept busy, on average."""
    cores_peak: float | None
    cores: int


def capacity(
    rows: Iterable[Row],
    settings: CapacitySettings | None = None,
    *,
    replicas: Mapping[tuple[str, str], int] | None = None,
) -> CapacityReport:
    """See the module. `replicas` by (task, model) where a model has more than one process."""
    chosen = settings or CapacitySettings()
    known = replicas or {}
    listed = sorted(rows, key=lambda row: row.at)
    spans = _spans(listed)
    span_s = max((listed[-1].at - listed[0].at) / 1e9, 1e-9) if len(listed) > 1 else 0.0
    tasks: defaultdict[str, list[Row]] = defaultdict(list)
    for row in listed:
        tasks[row.task].append(row)
    loads = [
        _load(task, model, some, spans.get((task, model)), span_s, known.get((task, model), 1), chosen)
        for task, some in sorted(tasks.items())
        for model in sorted({word.model for row in some for word in row.words})
    ]
    beside = _neighbours(spans, chosen)
    together = np.concatenate(list(spans.values())) if spans else np.empty((0, 2))
    total = float((together[:, 1] - together[:, 0]).sum()) / 1e9
    return CapacityReport(
        services=tuple(_service(task, some) for task, some in sorted(tasks.items())),
        loads=tuple(loads),
        neighbours=beside.found,
        inseparable=beside.inseparable,
        compared=beside.compared,
        too_few=tuple("/".join(key) for key, some in spans.items() if len(some) < 2 * chosen.least),
        cores_busy=round(total / span_s, 4) if span_s > 0 and len(together) else None,
        cores_peak=round(_peak(together, chosen.window_s), 4) if len(together) else None,
        cores=chosen.cores,
    )


def _spans(rows: Sequence[Row]) -> dict[tuple[str, str], _Array]:
    """By task and model: when it computed, (n × 2) ns, wall clock. The score's way back is taken as nothing."""
    found: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        for word in row.words:
            if word.compute_ms is not None and word.elapsed_ms is not None:
                end = row.at + word.elapsed_ms * _MS
                found[row.task, word.model].append((end - word.compute_ms * _MS, end))
    return {key: np.array(sorted(some)) for key, some in sorted(found.items())}


def _load(
    task: str,
    model: str,
    rows: Sequence[Row],
    spans: _Array | None,
    span_s: float,
    replicas: int,
    settings: CapacitySettings,
) -> Load:
    words = [word for row in rows for word in row.words if word.model == model]
    declined = Counter(word.reason or "?" for word in words if word.outcome == "declined")
    answered = sum(word.outcome in ("answered", "late") for word in words)
    took = None if spans is None else (spans[:, 1] - spans[:, 0]) / _MS
    busy = peak = bears = None
    if spans is not None and took is not None and span_s > 0:
        busy = float(took.sum()) / 1_000 / span_s / replicas
        peak = max(_peak(spans, settings.window_s) / replicas, busy)
        bears = replicas * 1_000 / float(took.mean()) if took.mean() > 0 else None
    return Load(
        task=task,
        model=model,
        replicas=replicas,
        asked=len(rows),
        answered=answered,
        declined=dict(sorted(declined.items())),
        missing=len(rows) - answered - declined.total(),
        rate=round(answered / span_s, 4) if span_s > 0 else 0.0,
        compute_ms_p50=None if took is None else round(float(np.quantile(took, 0.5)), 4),
        compute_ms_p99=None if took is None else round(float(np.quantile(took, 0.99)), 4),
        busy=None if busy is None else round(busy, 5),
        busy_peak=None if peak is None else round(peak, 5),
        bears=None if bears is None else round(bears, 3),
        head_room=None if not peak else round(1 / peak, 2),
        short=declined["behind"] > 0 or (peak is not None and peak > settings.full),
    )


def _worked(spans: _Array) -> tuple[_Array, _Array]:
    """Times and the nanoseconds worked up to then: piecewise linear; who works twice at a time counts twice."""
    times = spans.ravel()
    order = np.argsort(times, kind="stable")
    steps = np.tile([1.0, -1.0], len(spans))[order]
    at = times[order]
    level = np.cumsum(steps)
    return at, np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(at))])


def _between(worked: tuple[_Array, _Array], begin: _Array, end: _Array) -> _Array:
    at, done = worked
    return np.asarray(np.interp(end, at, done) - np.interp(begin, at, done), dtype=np.float64)


def _peak(spans: _Array, window_s: float) -> float:
    """Largest share of a window that was worked (beyond 1 with several at a time); windows begin with a work."""
    first = float(spans[:, 0].min())
    moved = spans - first  # small numbers: float64 counts nanoseconds of a day without loss, not those of an epoch
    width = min(window_s * 1e9, float(moved[:, 1].max()) or 1.0)
    begin = np.unique(moved[:, 0])
    return float(_between(_worked(moved), begin, begin + width).max() / (window_s * 1e9))


class _Beside(NamedTuple):
    found: tuple[Neighbour, ...]
    inseparable: tuple[tuple[str, str], ...]
    compared: int


def _neighbours(spans: Mapping[tuple[str, str], _Array], settings: CapacitySettings) -> _Beside:
    found, inseparable, compared = [], [], 0
    zero = min((float(some[:, 0].min()) for some in spans.values()), default=0.0)
    moved = {key: some - zero for key, some in spans.items()}
    worked = {key: _worked(some) for key, some in moved.items()}
    for key, mine in moved.items():
        took = mine[:, 1] - mine[:, 0]
        window = max(float(np.quantile(took, 0.25)), 1.0)
        for other in moved:
            if other == key or len(took) < 2 * settings.least:
                continue
            beside = _between(worked[other], mine[:, 0], mine[:, 0] + window) / window >= 0.5
            with_it, without = took[beside], took[~beside]
            if min(len(with_it), len(without)) < settings.least:
                inseparable.append(("/".join(key), "/".join(other)))
                continue
            compared += 1
            ratio = float(np.median(with_it) / max(float(np.median(without)), 1.0))
            z = _mann_whitney(with_it, without)
            if ratio >= settings.slower and z >= settings.z:
                found.append(
                    Neighbour(
                        task=key[0],
                        model=key[1],
                        beside="/".join(other),
                        ratio=round(ratio, 3),
                        z=round(z, 1),
                        with_it=len(with_it),
                        without=len(without),
                    )
                )
    return _Beside(tuple(sorted(found, key=lambda one: -one.ratio)), tuple(sorted(inseparable)), compared)


def _mann_whitney(one: _Array, other: _Array) -> float:
    """How many standard errors the ranks of `one` lie above those of `other`."""
    order = np.concatenate([one, other]).argsort(kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    n, m = len(one), len(other)
    above = ranks[:n].sum() - n * (n + 1) / 2
    return float((above - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def _service(task: str, rows: Sequence[Row]) -> Service:
    judged = [row for row in rows if row.cause]
    timely = [row for row in judged if row.elapsed_ms is not None and row.elapsed_ms <= (row.deadline_ms or np.inf)]
    span = rows[-1].at - rows[0].at
    slope, error = _trend(np.array([row.at for row in rows], dtype=np.float64) - rows[0].at, float(span))
    return Service(
        task=task,
        requests=len(rows),
        in_sla=round(len(timely) / len(judged), 6) if judged else 0.0,
        defaults=round(sum(row.cause == "default" for row in judged) / len(judged), 6) if judged else 0.0,
        per_hour=round(len(rows) / (span / _DAY * 24), 3) if span > 0 else 0.0,
        trend_per_day=slope,
        trend_error=error,
    )


def _trend(at: _Array, span: float) -> tuple[float | None, float | None]:
    """Least squares through counts of equal stretches: whole days from eight on, so that noon and midnight cancel;
    else twelve of a stretch that is no longer than six hours. Between the two the day's own shape would be the trend.
    """
    days = int(span // _DAY)
    if days >= 8:  # a week, and one to compare it with
        pieces, width = days, float(_DAY)
    elif 0 < span <= _DAY / 4:
        pieces, width = 12, span / 12
    else:
        return None, None
    counts = np.bincount(np.minimum(at // width, pieces).astype(np.int64), minlength=pieces)[:pieces].astype(np.float64)
    if counts.mean() < 5:  # fewer scatter too much to be a line
        return None, None
    middle = np.arange(pieces) - (pieces - 1) / 2
    slope = float((middle * counts).sum() / (middle**2).sum())
    rest = counts - counts.mean() - slope * middle
    error = float(np.sqrt((rest**2).sum() / (pieces - 2) / (middle**2).sum()))
    scale = counts.mean() * width / _DAY
    return round(slope / scale, 4), round(error / scale, 4)
