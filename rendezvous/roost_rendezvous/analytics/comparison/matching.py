"""How well two models agree on what scores high, in numbers and in words (promise E7; the book, fig. 5-1). Pure.

A fraud model, or an alarm, cares about the highest scores only. Of the top 5 % of one model, how many are in the top
5 % of the other? Chance alone puts 5 % of them there (and half of the top half), so the words go by what is above it.
"""

import math

import msgspec
import numpy as np

from roost_rendezvous.analytics.binomial import lower_limit
from roost_rendezvous.analytics.comparison.quantiles import Floats

TOPS = (0.01, 0.05, 0.10, 0.50)
ENOUGH = 30
"""Requests in the top set below which there are no words for it."""
_WORDS = (
    (0.98, "functionally identical"),
    (0.90, "an extremely good match"),
    (0.75, "a very good match"),
    (0.50, "a fair match"),
    (0.20, "a weak match"),
    (-math.inf, "hardly better than chance"),
)
"""By the share of the way from chance to the same set."""
TOO_FEW = "too few to say"


class Top(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The highest scores of both models beside each other."""

    share: float
    """0.05: the top 5 %."""
    count: int
    """How many requests that are."""
    overlap: float
    """Share of them that is in the other model's top, too. Of equal scores on the border each counts in part."""
    least: float
    """95 % lower limit of it."""
    rank_error: float
    """Median distance of the two quantiles of a request in the first model's top; 0.01 is one percentage point."""
    rank_error_95: float
    """95 of 100 are no further apart."""
    words: str


def tops(one: Floats, other: Floats, shares: tuple[float, ...] = TOPS) -> list[Top]:
    """`one` and `other` are quantiles of the same requests in the same order."""
    return [_top(one, other, share) for share in shares] if one.size else []


def in_top(quantiles: Floats, share: float) -> Floats:
    """1 for what is in the top, 0 for what is not; scores equal to the last of the top share the places left."""
    wanted = max(1, round(share * quantiles.size))
    border = np.partition(quantiles, quantiles.size - wanted)[quantiles.size - wanted]
    above, on = quantiles > border, quantiles == border
    left = (wanted - int(above.sum())) / int(on.sum())
    return np.where(above, 1.0, np.where(on, left, 0.0))


def sentence(found: list[Top]) -> str:
    """`top 5 % functionally identical, top 10 % an extremely good match`."""
    return ", ".join(f"top {100 * top.share:g} % {top.words}" for top in found)


def _top(one: Floats, other: Floats, share: float) -> Top:
    wanted = max(1, round(share * one.size))
    mine, theirs = in_top(one, share), in_top(other, share)
    overlap = float(np.minimum(mine, theirs).sum()) / wanted
    errors = np.abs(one - other)[mine > 0]
    return Top(
        share=share,
        count=wanted,
        overlap=overlap,
        least=lower_limit(math.floor(overlap * wanted + 1e-9), wanted),
        rank_error=float(np.median(errors)),
        rank_error_95=float(np.quantile(errors, 0.95)),
        words=_words(overlap, share) if wanted >= ENOUGH else TOO_FEW,
    )


def _words(overlap: float, share: float) -> str:
    above_chance = (overlap - share) / (1 - share) if share < 1 else 1.0
    return next(words for least, words in _WORDS if above_chance >= least)
