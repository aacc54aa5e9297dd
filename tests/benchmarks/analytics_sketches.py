"""Sketches: goals G3, G4, G5 and the store's part of G18; `fastdigest`, `tdigest` and `HdrHistogram` beside, where they
are installed (they are not in Roost's environment: docs/decisions/0021).

Durations are processor time, the best of a few, for other work runs beside a benchmark.
"""

import importlib
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from analytics_figures import Figure

from roost_rendezvous.analytics.sketches import latency_wire, wire
from roost_rendezvous.analytics.sketches.asking import SketchReader
from roost_rendezvous.analytics.sketches.book import Closed
from roost_rendezvous.analytics.sketches.conversion import from_quantiles, to_quantiles
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.omission import OmissionCore
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, PERIOD_S, Wish, qualifiers
from roost_rendezvous.analytics.sketches.store import SketchStore
from roost_rendezvous.analytics.sketches.windows import of_equal_windows

QUANTILES = np.array([0.0001, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 0.9999])
TAILS = (QUANTILES < 0.001) | (QUANTILES > 0.999)
SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "lognormal": lambda rng, n: rng.lognormal(0.0, 1.0, n),
    "uniform": lambda rng, n: rng.random(n),
    "normal": lambda rng, n: rng.normal(size=n),
}
SECOND = 1_000_000_000
MONDAY = 20_000 * DAY_S


def measure(quick: bool) -> list[Figure]:
    """See the module. Quick: fewer periods and alignments."""
    return [*_accuracy(quick), *_speed(quick), *_histogram(quick), *_omission(quick), *_store(quick)]


def _rival(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _seconds(work: Callable[[], object], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def _errors(quantiles: Any, everything: Any) -> tuple[float, float]:
    """The largest error of rank relative to min(q, 1 - q): from .001 to .999, and at .0001 and .9999."""
    ranks = np.searchsorted(everything, quantiles) / everything.size
    error = np.abs(ranks - QUANTILES) / np.minimum(QUANTILES, 1 - QUANTILES)
    return float(error[~TAILS].max()), float(error[TAILS].max())


def _accuracy(quick: bool) -> list[Figure]:
    periods = 1440 if quick else 4320
    fastdigest = _rival("fastdigest")
    inner, outer, theirs, sizes = 0.0, 0.0, [0.0, 0.0], []
    for seed, (_, shape) in enumerate(SHAPES.items()):
        rng = np.random.default_rng(seed)
        parts = [shape(rng, 1000) for _ in range(periods)]
        bodies = [wire.to_bytes(TDigest.of(part)) for part in parts]
        sizes += [len(body) for body in bodies]
        merged = TDigest.merged(wire.from_bytes(body) for body in bodies)  # what a store would give back
        everything = np.sort(np.concatenate(parts))
        found = _errors(merged.quantiles(QUANTILES), everything)
        inner, outer = max(inner, found[0]), max(outer, found[1])
        if fastdigest is not None:
            digests = [fastdigest.TDigest.from_values(part, max_centroids=122) for part in parts]
            rival = fastdigest.merge_all(digests, max_centroids=122)
            other = _errors(np.array([rival.quantile(q) for q in QUANTILES]), everything)
            theirs = [max(pair) for pair in zip(theirs, other, strict=True)]
    constant = TDigest.merged(TDigest.of(np.full(1000, 5.0)) for _ in range(50))
    sensible = [constant.cdf(x) for x in (4.9, 5.0, 5.1)] == [0.0, 0.5, 1.0]
    beside = "fastdigest is not installed"
    if fastdigest is not None:
        beside = f"fastdigest, 122 centroids: {theirs[0]:.2%} and {theirs[1]:.2%}"
        beside += f"; its cdf(5.0) of a constant 5.0: {fastdigest.TDigest.from_values([5.0] * 1000).cdf(5.0):g}"
    spread = wire.to_bytes(
        TDigest.of(1e9 + np.random.default_rng(1).normal(size=99_999), np.random.default_rng(2).random(99_999))
    )
    rng = np.random.default_rng(9)
    history = TDigest.merged(TDigest.of(rng.normal(size=1000)) for _ in range(144))
    quantiles = np.linspace(0.0001, 0.9999, 9999)
    trip = np.abs(to_quantiles(from_quantiles(quantiles, history), history) - quantiles).max()
    return [
        Figure(
            "G3 error",
            "≤ 2 % from .001 to .999, ≤ 5 % at .0001 and .9999",
            f"{inner:.2%} and {outer:.2%}, worst of {', '.join(SHAPES)}; {periods} sketches of 1,000, from bytes",
            inner <= 0.02 and outer <= 0.05,
            beside,
        ),
        Figure("G3 constants", "sensible", f"cdf below, at, above: {'0, 0.5, 1' if sensible else 'wrong'}", sensible),
        Figure(
            "G3 size",
            "≤ 1.5 kB",
            f"{np.mean(sizes):.0f} B on average; {len(spread)} B of fractional weights far from zero",
            max(*sizes, len(spread)) <= 1500,
        ),
        Figure("E9 round trip", "within G3", f"{trip:.1e} of rank at most, 9,999 quantiles", bool(trip <= 1e-4)),
    ]


def _speed(quick: bool) -> list[Figure]:
    rng = np.random.default_rng(3)
    digests = [TDigest.of(rng.lognormal(size=1000)) for _ in range(4320)]
    flat = _seconds(partial(TDigest.merged, digests))
    days = [TDigest.merged(digests[i : i + 144]) for i in range(0, 4320, 144)]
    rolled = _seconds(partial(TDigest.merged, days))
    values = rng.random(50_000 if quick else 200_000)
    single = values.tolist()

    def one_by_one() -> None:
        digest = TDigest()
        for value in single:
            digest.add(value)

    each = _seconds(one_by_one) / len(single)
    batch = _seconds(partial(TDigest.of, values)) / len(single)
    beside = []
    if (fastdigest := _rival("fastdigest")) is not None:
        theirs = [fastdigest.TDigest.from_values(rng.lognormal(size=1000), max_centroids=122) for _ in range(4320)]
        beside.append(f"fastdigest {_seconds(partial(fastdigest.merge_all, theirs, max_centroids=122)) * 1e3:.0f} ms")
    if (tdigest := _rival("tdigest")) is not None:
        reference = tdigest.TDigest()
        took = _seconds(partial(reference.batch_update, single[:2000]), 1) / 2000
        other = tdigest.TDigest()
        other.batch_update(single[:2000])
        one = _seconds(partial(reference.__add__, other), 1)
        beside.append(f"tdigest {one * 4319 * 1e3:.0f} ms (4,319 × one merge); {took * 1e6:.0f} µs an add")
    return [
        Figure(
            "G3 merge",
            "4,320 merged in ≤ 150 ms, 30 days in ≤ 50 ms",
            f"{flat * 1e3:.0f} ms and {rolled * 1e3:.1f} ms of processor time",
            flat <= 0.15 and rolled <= 0.05,
            "; ".join(beside) or "rivals are not installed",
        ),
        Figure("G3 add", "-", f"{each * 1e6:.2f} µs one by one, {batch * 1e9:.0f} ns in a batch", None),
    ]


def _histogram(quick: bool) -> list[Figure]:
    rng = np.random.default_rng(4)
    worst, size = 0.0, 0
    quantiles = np.linspace(0.0005, 0.9995, 1999)
    for values in (
        rng.lognormal(3, 1.2, 100_000).clip(1, 10_000),
        rng.uniform(1, 10_000, 100_000),
        np.exp(rng.uniform(0, np.log(10_000), 100_000)),
        rng.choice([1.0, 10_000.0], 1001),
        np.full(1000, 1234.5),
    ):
        histogram = LatencyHistogram.of(values)
        exact = np.quantile(values, quantiles, method="inverted_cdf")
        worst = max(worst, float(np.abs(histogram.quantiles(quantiles) / exact - 1).max()))
        size = max(size, len(latency_wire.to_bytes(histogram)))
    values = rng.lognormal(3, 1.2, 100_000 if quick else 300_000)
    single = values.tolist()
    histogram = LatencyHistogram()

    def one_by_one() -> None:
        for value in single:
            histogram.add(value)

    each, batch = _seconds(one_by_one) / len(single), _seconds(partial(LatencyHistogram.of, values)) / len(single)
    late = LatencyHistogram.of([100.0] * 99 + [30_000.0])
    beside = "HdrHistogram is not installed"
    if (hdrh := _rival("hdrh.histogram")) is not None:
        rival = hdrh.HdrHistogram(1, 30_000_000, 2)

        def theirs() -> None:
            for value in single:
                rival.record_value(int(value * 1000))

        took = _seconds(theirs, 1) / len(single)
        beside = f"HdrHistogram, 2 digits, 1 µs to 30 s: {took * 1e6:.2f} µs an add, {len(rival.encode())} B"
    return [
        Figure("G4 error", "≤ 5 % relative, every quantile", f"{worst:.2%}, 5 shapes, 1,999 quantiles", worst <= 0.05),
        Figure(
            "G4 add",
            "≤ 1 µs one by one, ≤ 30 ns in a batch",
            f"{each * 1e6:.2f} µs and {batch * 1e9:.0f} ns",
            each <= 1e-6 and batch <= 30e-9,
            beside,
        ),
        Figure("G4 size", "≤ 2 kB stored", f"{size} B for 100,000 durations from end to end", size <= 2000),
        Figure(
            "G4 over",
            "30 s is counted",
            f"{late.above:g} of 1 in the end bin, p99.9 = {late.quantile(0.999):g} ms",
            late.above == 1 and late.quantile(0.999) == 30_000,
        ),
    ]


def _closed_load(hold_at: float, seed: int, usual_s: float) -> tuple[Any, Any]:
    """Ten workers in step with their answers, held for 30 s: arrivals and answers, in seconds."""
    rng = np.random.default_rng(seed)
    arrivals, answers = [], []
    for _ in range(10):
        at = float(rng.random()) * usual_s
        while at < 600.0:
            end = at + usual_s * float(rng.gamma(20, 1 / 20))
            if end >= hold_at and at < hold_at + 30.0:
                end = hold_at + 30.0 + float(rng.random()) * usual_s
            arrivals.append(at)
            answers.append(end)
            at = end
    return np.array(arrivals), np.array(answers)


def _open_load(hold_at: float, seed: int, usual_s: float) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(usual_s / 10, int(7000 / usual_s)))
    arrivals = arrivals[arrivals < 600.0]
    answers = arrivals + usual_s * rng.gamma(20, 1 / 20, arrivals.size)
    held = (answers >= hold_at) & (arrivals < hold_at + 30.0)
    answers[held] = hold_at + 30.0 + usual_s * rng.random(int(held.sum()))
    return arrivals, answers


def _pauses(seed: int) -> tuple[Any, Any]:
    """Bursts and pauses of up to 90 s, nobody held off; in turn who waits, and who does not (with slow answers)."""
    rng = np.random.default_rng(seed)
    arrivals, needs, at = [], [], 0.0
    while at < 600.0:
        for _ in range(int(rng.integers(20, 200))):
            arrivals.append(at)
            needs.append(float(rng.uniform(2, 4)) if seed % 2 and rng.random() < 0.01 else 0.05)
            at += float(rng.exponential(0.1)) if seed % 2 else needs[-1] + 0.02
        at += float(rng.uniform(5, 90))
    return np.array(arrivals), np.array(arrivals) + np.array(needs)


def _counted(arrivals: Any, answers: Any) -> tuple[float, float, float, float]:
    """Shares above 1 s: corrected, raw, by the book's windows; and what was added."""
    core = OmissionCore()
    times = np.concatenate([answers, arrivals])
    ids = np.concatenate([np.arange(answers.size)] * 2)
    for i in np.argsort(times, kind="stable").tolist():
        if times[i] >= 600.0:
            break
        (core.complete if i < answers.size else core.arrive)(str(ids[i]), round(times[i] * SECOND))
    found = core.report(600 * SECOND)
    done = answers < 600.0
    book = of_equal_windows(answers[done], (answers - arrivals)[done] * 1000, start_s=0.0, end_s=600.0)
    return (
        found.corrected.share_above(1000),
        found.raw.share_above(1000),
        book.share_above(1000),
        found.share_held_off,
    )


def _omission(quick: bool) -> list[Figure]:
    trials = 10 if quick else 50
    usual_s = 0.2 if quick else 0.1
    figures = []
    places = np.random.default_rng(5).uniform(0.0, 570.0, trials)
    for name, load in (("closed", _closed_load), ("open", _open_load)):
        shares = np.array([_counted(*load(float(at), seed, usual_s)) for seed, at in enumerate(places)])
        low, high = shares[:, 0].min(), shares[:, 0].max()
        figures.append(
            Figure(
                f"G5 {name}",
                "5 ± 1 % above 1 s for every alignment",
                f"{low:.2%} to {high:.2%}, {trials} alignments at {10 / usual_s:g}/s",
                bool(low >= 0.04 and high <= 0.06),
                f"raw {shares[:, 1].min():.3%} to {shares[:, 1].max():.3%}; "
                f"the book's windows {shares[:, 2].min():.2%} to {shares[:, 2].max():.2%}, "
                f"median {np.median(shares[:, 2]):.2%}",
            )
        )
    added = max(_counted(*_pauses(seed))[3] for seed in range(trials))
    figures.append(
        Figure(
            "G5 pauses",
            "≤ 0.5 % added",
            f"{added:.3%} at most, {trials} runs with pauses of up to 90 s",
            added <= 0.005,
        )
    )
    return figures


def _store(quick: bool) -> list[Figure]:
    """20 combinations (10 scores, 10 latencies) for a day, one of them for 30 days."""
    rng = np.random.default_rng(6)
    wish = Wish(kind="score", label="hen")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sketches.db")
        store = SketchStore(path)
        combinations = [
            qualifiers(
                "henhouse", kind, model=f"model-{i}", label="" if kind == "latency" else "jay", tags={"camera": "nest"}
            )
            for i in range(10)
            for kind in ("score", "latency")
        ]
        for period in range(144):
            store.put(
                Closed(MONDAY + period * PERIOD_S, one, LatencyHistogram.of(rng.lognormal(3, 1, 1000)))
                if one.kind == "latency"
                else Closed(MONDAY + period * PERIOD_S, one, TDigest.of(rng.beta(2, 5, 1000)))
                for one in combinations
            )
        store.roll_up(MONDAY + DAY_S)
        a_day = store.size()
        hen = qualifiers("henhouse", "score", model="champion", label="hen", tags={"camera": "nest"})
        for day in range(30):
            store.put(
                Closed(MONDAY + day * DAY_S + i * PERIOD_S, hen, TDigest.of(rng.beta(2, 5, 1000))) for i in range(144)
            )
        store.roll_up(MONDAY + 30 * DAY_S)
        store.close()

        def ask(rolled_up: bool) -> tuple[float, float]:
            began, on_clock = time.process_time(), time.perf_counter()
            reader = SketchReader(path)
            found = reader.ask(wish, MONDAY, MONDAY + 30 * DAY_S, rolled_up=rolled_up)
            assert found.sketch is not None
            assert found.sketch.count == 4_320_000
            reader.close()
            return time.process_time() - began, time.perf_counter() - on_clock

        cold, rolled = min(ask(False) for _ in range(3)), min(ask(True) for _ in range(3))
    return [
        Figure(
            "G3 store",
            "4,320 sketches ≤ 0.5 s cold, ≤ 50 ms with roll-ups",
            f"{cold[0] * 1e3:.0f} ms and {rolled[0] * 1e3:.1f} ms, opening and reading included",
            cold[0] <= 0.5 and rolled[0] <= 0.05,
            note=f"processor time; on the clock {cold[1] * 1e3:.0f} and {rolled[1] * 1e3:.0f} ms; file cached",
        ),
        Figure(
            "G18 disk",
            "≤ 3 MB a day for 20 combinations",
            f"{a_day / 1e6:.2f} MB, day sketches and indices included; 1,000 values a period",
            a_day <= 3e6,
        ),
    ]
