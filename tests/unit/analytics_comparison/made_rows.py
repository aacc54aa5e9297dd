"""Rows made on the spot."""

from typing import Any

import numpy as np

from roost_rendezvous.analytics.rows import Row, Word


def row(number: int, *words: Word, **fields: Any) -> Row:
    """Request `number`, a second after the one before."""
    given = {"task": "nest", "at": (number + 1) * 1_000_000_000, "input": {"frame.sha256": f"{number:064x}"}}
    return Row(request_id=f"{number:032x}", words=words, **{**given, **fields})


def said(model: str, **scores: float) -> Word:
    return Word(model=model, scores=scores)


def two_models(count: int, *, noise: float = 0.0, seed: int = 5) -> list[Row]:
    """`old` and `new` score the same thing on different scales; `noise` is how far their opinions differ."""
    random = np.random.default_rng(seed)
    rows = []
    for number, (thing, off) in enumerate(zip(random.normal(size=count), random.normal(size=count), strict=True)):
        old = 1 / (1 + np.exp(-thing))
        new = 1 / (1 + np.exp(-(3 * (thing + noise * off) - 1)))
        rows.append(
            row(
                number,
                said("old", hen=float(old), none=float(1 - old)),
                said("new", hen=float(new), none=1 - float(new)),
            )
        )
    return rows
