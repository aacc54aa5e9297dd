"""Beyond what was ever seen: a generalised Pareto tail on each row of a history. Pure.

The quantile of a value larger than all of history is 1, and its log-odds would end at log10 of the history's length:
the strangest thing ever would be worth no more than the second strangest. So the largest values of each row get a tail
that goes on beyond them (Pickands, Balkema and de Haan: excesses over a high level tend to this form; fitted by
probability-weighted moments, Hosking and Wallis 1987).

The shape is kept between 0 (exponential) and 0.5. A lighter tail than exponential is taken for exponential, which
understates: better a late page than one that rests on extrapolation.
"""

from typing import NamedTuple

import numpy as np

from roost_rendezvous.analytics.alarms.bins import Bins, Floats, Whole

ANCHOR = 10.0
"""The tail takes over where fewer readings than this lie beyond."""
_FITTED = 60.0
"""Readings that the tail is fitted to, at least; or this share of all, where that is more:"""
_FITTED_SHARE = 0.02
_MOST_SHAPE = 0.5
_LEAST_SCALE = 0.05
"""A scale below this share of the level is a bin's width, not knowledge."""


class Tails(NamedTuple):
    """For each row: where the tail begins, the share beyond it, and its form. All float64, shape (rows,)."""

    start: Floats
    beyond: Floats
    scale: Floats
    shape: Floats


def fit(weights: Floats, above: Floats, totals: Floats, bins: Bins) -> Tails:
    """`weights` and `above` (the weight in all higher bins) have shape (rows, bins), `totals` (rows,)."""
    rows = np.arange(len(totals))
    level = _highest(above, np.maximum(_FITTED, _FITTED_SHARE * totals))
    start = _highest(above, np.full(len(totals), ANCHOR))
    first = bins.edges[level + 1]
    excess = np.maximum(bins.middles - first[:, None], 0.0)
    inside = np.arange(weights.shape[1]) > level[:, None]
    mass = np.where(inside, weights, 0.0)
    known = np.maximum(mass.sum(axis=1), 1e-9)
    exceeding = np.where(inside, above + 0.5 * weights, 0.0) / known[:, None]
    mean = (mass * excess).sum(axis=1) / known
    weighted = (mass * excess * exceeding).sum(axis=1) / known
    gap = np.maximum(mean - 2.0 * weighted, 1e-12)
    shape = np.where(known >= ANCHOR, np.clip(2.0 - mean / gap, 0.0, _MOST_SHAPE), _MOST_SHAPE / 2)
    scale = mean * (1.0 - shape)
    begin = bins.edges[start + 1]
    scale = scale + shape * (begin - first)
    width = bins.edges[start + 1] - bins.edges[start]
    floor = np.maximum(_LEAST_SCALE * np.abs(begin) if bins.log else width, width)
    beyond = np.maximum(above[rows, start], 0.5) / (totals + 1.0)
    return Tails(begin, beyond, np.maximum(scale, np.maximum(floor, 0.01)), shape)


def stranger(tails: Tails, rows: Whole, values: Floats) -> Floats:
    """The share of history beyond each value, by the tail of its row; at least what `beyond` is up to its start."""
    over = np.maximum(values - tails.start[rows], 0.0) / tails.scale[rows]
    shape = tails.shape[rows]
    flat = shape < 1e-3
    safe = np.where(flat, 1.0, shape)
    share = np.where(flat, np.exp(-np.minimum(over, 700.0)), (1.0 + shape * over) ** (-1.0 / safe))
    found: Floats = tails.beyond[rows] * share
    return found


def _highest(above: Floats, wanted: Floats) -> Whole:
    """The last bin of each row with at least `wanted` beyond it; the first bin where there is none."""
    found = (above >= wanted[:, None]).sum(axis=1) - 1
    kept: Whole = np.clip(found, 0, above.shape[1] - 2)
    return kept
