"""Noisy neighbours (M7) in a report: which model is slower while another one is at work, in words. Brings numpy.

From rows alone: the ten-minute windows do not know what happened at the same time. Where too little is known, that is
the answer.
"""

from collections.abc import Iterable, Iterator

import msgspec

from roost_broker.enumeration import first_of
from roost_rendezvous.analytics.features.capacity import CapacitySettings, Neighbour, capacity
from roost_rendezvous.analytics.rows import Row

_SHOWN = 12
_NAMED = 4


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of who disturbs whom."""

    requests: int
    found: tuple[Neighbour, ...] = ()
    compared: int = 0
    """Pairs that could be judged; each model beside each other one."""
    inseparable: tuple[tuple[str, str], ...] = ()
    too_few: tuple[str, ...] = ()
    """`task/model` with fewer computations than `least`."""
    least: int = 0


def neighbours_of(rows: Iterable[Row], settings: CapacitySettings | None = None) -> Neighbours:
    """All models of all tasks that these rows hold; a device's kept rows are 20 MB at most (`analytics.keep_rows`)."""
    chosen = settings or CapacitySettings()
    listed = list(rows)
    found = capacity(listed, chosen)
    return Neighbours(
        requests=len(listed),
        found=found.neighbours,
        compared=found.compared,
        inseparable=found.inseparable,
        too_few=found.too_few,
        least=2 * chosen.least,
    )


def told(known: Neighbours) -> Iterator[str]:
    """In sentences, those who disturb most first."""
    for one in known.found[:_SHOWN]:
        longer = round(100 * (one.ratio - 1))
        yield (
            f"{one.task}/{one.model} computes {longer} % longer while {one.beside} is at work ({one.with_it:,} times "
            f"with it, {one.without:,} without)."
        )
    if len(known.found) > _SHOWN:
        yield f"… and {len(known.found) - _SHOWN} more pairs."
    if known.compared and not known.found:
        looked = "one pair was" if known.compared == 1 else f"{known.compared:,} pairs were"
        yield f"No model is slower while another one is at work ({looked} looked at)."
    if known.inseparable:
        pairs = sorted({tuple(sorted(pair)) for pair in known.inseparable})
        named = first_of([" and ".join(pair) for pair in pairs], _NAMED, "more pairs")
        yield f"Always or never at work at the same time, so it cannot be told: {named}."
    if known.too_few:
        named = first_of(known.too_few, _NAMED)
        yield f"Not enough history, fewer than {known.least} computations: {named}."
    if not (known.compared or known.inseparable or known.too_few):
        yield "Not enough history: there are no two models that say how long they compute."
