"""What is known of a signal in the first week of a new normal. Pure.

The old history does not apply any more and there is no new one yet. The old one is moved up to where the signal is now:
its shape is the best guess at how much the signal varies. In logarithmic bins moving keeps the ratio of spread to
level, so the guess is wide: in that week only gross changes of this signal page, which is what honest ignorance asks
for.
"""

import numpy as np

from roost_rendezvous.analytics.alarms.bins import Floats

_BORROWED = 100.0
"""Readings that the moved history counts for."""
_LONG_TAIL = 0.9


def shifted(old: Floats, lately: Floats) -> Floats | None:
    """The old weights moved so that their median is that of `lately`; None where `lately` lies within what was usual.

    Both have shape (bins,), with logarithmic bins.
    """
    if lately.sum() < 1.0 or old.sum() < 1.0:
        return None
    now = _quantile(lately, 0.5)
    if now <= _quantile(old, _LONG_TAIL):
        return None
    by = now - _quantile(old, 0.5)
    moved = np.zeros_like(old)
    moved[by:] = old[: len(old) - by]
    moved[-1] += old[len(old) - by :].sum()
    return moved * np.float32(_BORROWED / old.sum())


def _quantile(weights: Floats, share: float) -> int:
    """The bin in which `share` of the weight is reached."""
    return int(np.searchsorted(np.cumsum(weights), share * weights.sum()))
