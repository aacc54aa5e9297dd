"""Ten minutes of requests, by the second, with a hold or with honest pauses: what `test_omission` counts."""

from typing import NamedTuple

import numpy as np

from roost_rendezvous.analytics.sketches.omission import Corrected, OmissionCore
from roost_rendezvous.analytics.sketches.windows import of_equal_windows

SECOND = 1_000_000_000
RUN_S = 600.0
HOLD_S = 30.0
A_SECOND = 40
"""Requests of the closed load while nothing holds it."""


class Event(NamedTuple):
    at: float
    is_arrival: bool
    """An answer sorts before the request that it releases."""
    request: int
    worker: int


def closed_load(hold_at: float, seed: int, *, workers: int = 10, usual_s: float = 10 / A_SECOND) -> list[Event]:
    """Each worker asks again when it has its answer; everything stands still for 30 s."""
    rng = np.random.default_rng(seed)
    events = []
    request = 0
    for worker in range(workers):
        at = 0.0
        while at < RUN_S:
            needs = usual_s * rng.gamma(20, 1 / 20)
            end = at + needs
            if end >= hold_at and at < hold_at + HOLD_S:
                end = hold_at + HOLD_S + rng.random() * needs
            events += [Event(at, True, request, worker), Event(end, False, request, worker)]
            request += 1
            at = end
    return sorted(events)


def open_load(hold_at: float, seed: int, *, a_second: float = 40.0, usual_s: float = 0.1) -> list[Event]:
    """Requests come whatever happens (a Poisson stream); what came in the hold is answered after it."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / a_second, int(RUN_S * a_second * 1.2)))
    arrivals = arrivals[arrivals < RUN_S]
    needs = usual_s * rng.gamma(20, 1 / 20, arrivals.size)
    ends = arrivals + needs
    held = (ends >= hold_at) & (arrivals < hold_at + HOLD_S)
    ends[held] = hold_at + HOLD_S + needs[held]
    events = [Event(at, True, i, 0) for i, at in enumerate(arrivals.tolist())]
    return sorted(events + [Event(at, False, i, 0) for i, at in enumerate(ends.tolist())])


def with_pauses(seed: int, *, slow: float, closed: bool) -> list[Event]:
    """Bursts of requests and pauses of minutes in which nobody asks; some answers are slow, and none is held off."""
    rng = np.random.default_rng(seed)
    events = []
    request, at = 0, 0.0
    while at < RUN_S:
        for _ in range(int(rng.integers(20, 200))):
            needs = float(rng.uniform(2, 4)) if rng.random() < slow else 0.05 * float(rng.gamma(20, 1 / 20))
            events += [Event(at, True, request, 0), Event(at + needs, False, request, 0)]
            request += 1
            at += needs + 0.02 if closed else float(rng.exponential(0.1))
        at += float(rng.uniform(5, 90))
    return sorted(events)


def counted(events: list[Event], *, until: float = RUN_S, by_worker: bool = False) -> Corrected:
    core = OmissionCore()
    for at, is_arrival, request, worker in events:
        if at > until:
            break
        if is_arrival:
            core.arrive(str(request), round(at * SECOND), source=str(worker) if by_worker else "")
        else:
            core.complete(str(request), round(at * SECOND))
    return core.report(round(until * SECOND))


def share_by_windows(events: list[Event], ms: float) -> float:
    """What the book's windows of five seconds make of the same run."""
    began = {event.request: event.at for event in events if event.is_arrival}
    ends = [event for event in events if not event.is_arrival and event.at < RUN_S]
    at = [event.at for event in ends]
    took = [(event.at - began[event.request]) * 1000 for event in ends]
    return of_equal_windows(at, took, start_s=0.0, end_s=RUN_S).share_above(ms)
