"""Every model beside every other on the same requests, in one pass (promise K3). Pure."""

from collections.abc import Iterable
from itertools import combinations

import msgspec

from roost_rendezvous.analytics.comparison.agreement import apart
from roost_rendezvous.analytics.rows import Row, Word

MOST_MODELS = 40
"""Models (by version) told apart; what comes later is left out and counted."""


class Together(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two models on the requests that both answered."""

    one: str
    other: str
    compared: int
    same_label: int
    almost: int


class Pairwise(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`answered` counts by model, `pairs` are of all that ever answered the same request."""

    rows: int
    answered: dict[str, int]
    pairs: list[Together]
    left_out: int = 0


def pairwise(rows: Iterable[Row], *, tolerance: float = 0.05, by_version: bool = True) -> Pairwise:
    """Counts of all pairs. A row counts for a pair only with both words in it, so no two inputs can be mixed."""
    answered: dict[str, int] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    seen, left_out = 0, 0
    for row in rows:
        seen += 1
        words: dict[str, Word] = {}
        for word in row.words:
            if not word.scores:
                continue
            name = f"{word.model}@{word.version}" if by_version and word.version else word.model
            if name not in answered and len(answered) >= MOST_MODELS:
                left_out += 1
                continue
            answered[name] = answered.get(name, 0) + 1
            words[name] = word
        for one, other in combinations(sorted(words), 2):
            found = apart(words[one], words[other], tolerance)
            tally = counts.setdefault((one, other), [0, 0, 0])
            tally[0] += 1
            tally[1] += found.same_label
            tally[2] += found.almost
    return Pairwise(
        rows=seen,
        answered=dict(sorted(answered.items())),
        pairs=[
            Together(one=one, other=other, compared=tally[0], same_label=tally[1], almost=tally[2])
            for (one, other), tally in sorted(counts.items())
        ],
        left_out=left_out,
    )
