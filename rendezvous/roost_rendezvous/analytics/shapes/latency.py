"""Watching durations: every step of every model, in bins that grow with the duration (the book, figures 7-4 and 7-5).

Half octaves from 1 ms to 30 s: a group of slow requests three times slower falls three bins away from the rest, into
bins that were nearly empty, so that even one in a hundred is many times the usual there. Quantile cuts of the history
beside them see the small shift of everything that comes long before an SLA is missed.
"""

from roost_rendezvous.analytics.reading import Signal
from roost_rendezvous.analytics.shapes.evidence import MEMORY
from roost_rendezvous.analytics.shapes.numbers import LEAST, NumberWatch

HALF_OCTAVES = tuple(round(2 ** (step / 2), 4) for step in range(30))
"""Milliseconds: 1, 1.4, 2, … 23,170; what is beyond either end has a bin there."""


def latency_watch(signal: Signal, what: str, *, least: int = LEAST, memory: int = MEMORY) -> NumberWatch:
    """A watch of milliseconds. Also for steps that only traces know."""
    return NumberWatch(signal, what, bins=HALF_OCTAVES, least=least, memory=memory, show="{:.3g} ms".format)
