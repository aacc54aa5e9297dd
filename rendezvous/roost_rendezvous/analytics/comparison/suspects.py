"""Which change made a cascade find less: the log of changes against what each stage did (promise C2). Pure.

After A was exchanged, it is B whose numbers fall: it gets nothing any more that it could find. So a stage is suspected
only if something of it was changed, and its own behaviour is believed only as far as what it was given stayed the same.

For each change: how much better do two rates, before and after it, explain what the whole found, and what the changed
stage itself marked, than one rate (the G statistic, twice the logarithm of the likelihood ratio)? Behaviour of a stage
that sees only what others let pass is not its own as soon as one of these was changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

LEAST = 10
"""Cases on either side of a change below which nothing is said of it."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log: a model's version, a schedule, a camera."""

    at: int
    of: str
    what: str = ""


class Suspect(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change, and what speaks for its being the cause."""

    change: Change
    evidence: float
    """The larger, the likelier; below 10 it may well be chance."""
    whole_before: float
    whole_after: float
    own_before: float | None = None
    """Share that the changed stage marked of what it saw; None: the change is of no stage."""
    own_after: float | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Cases in order of time. `marked[stage]` is 1 or 0 by case, NaN where the stage was not asked."""

    at: NDArray[np.int64]
    stages: tuple[str, ...]
    marked: Mapping[str, NDArray[np.float64]]

    @property
    def whole(self) -> NDArray[np.float64]:
        """1 where any stage found it."""
        found = np.nanmax(np.vstack([self.marked[stage] for stage in self.stages]), axis=0)
        return np.asarray(found, dtype=np.float64)


def suspects(seen: Seen, changes: Sequence[Change]) -> list[Suspect]:
    """Every change, the likeliest cause first; equal evidence: the one further up the cascade, then the earlier."""
    order = {stage: place for place, stage in enumerate(seen.stages)}
    found = [_suspect(seen, change, changes, order) for change in changes]
    return sorted(found, key=lambda one: (-one.evidence, order.get(one.change.of, len(order)), one.change.at))


def gain(values: NDArray[np.float64], before: NDArray[np.bool_]) -> float:
    """How much better two rates explain the values than one (G statistic); 0 with too few on one side."""
    known = ~np.isnan(values)
    first, second = values[known & before], values[known & ~before]
    if first.size < LEAST or second.size < LEAST:
        return 0.0
    together = np.concatenate([first, second])
    return max(0.0, 2 * (_likelihood(first) + _likelihood(second) - _likelihood(together)))


def _suspect(seen: Seen, change: Change, changes: Sequence[Change], order: Mapping[str, int]) -> Suspect:
    before = seen.at < change.at
    whole = seen.whole
    evidence = gain(whole, before)
    own = seen.marked.get(change.of)
    if own is not None:
        mine = gain(own, before)
        partial = bool(np.isnan(own).any())
        upstream = [
            gain(seen.marked[one.of], seen.at < one.at)
            for one in changes
            if one.of in order and order[one.of] < order[change.of]
        ]
        # Given less to find, it finds less: that is no behaviour of its own.
        evidence += 0.0 if partial and max(upstream, default=0.0) > LEAST else mine
    rates = _rate(whole, before), _rate(whole, ~before)
    shares = (None, None) if own is None else (_rate(own, before), _rate(own, ~before))
    return Suspect(
        change=change,
        evidence=evidence,
        whole_before=rates[0],
        whole_after=rates[1],
        own_before=shares[0],
        own_after=shares[1],
        sentence=_sentence(change, rates, shares),
    )


def _sentence(change: Change, whole: tuple[float, float], own: tuple[float | None, float | None]) -> str:
    said = f"{change.of} changed{f' ({change.what})' if change.what else ''}: "
    said += f"since then {_percent(whole[1])} is found, before {_percent(whole[0])}"
    if own[0] is not None and own[1] is not None:
        said += f"; it marks {_percent(own[1])} of what it sees, before {_percent(own[0])}"
    return said


def _likelihood(values: NDArray[np.float64]) -> float:
    ones = float(values.sum())
    return _xlog(ones, values.size) + _xlog(values.size - ones, values.size)


def _xlog(count: float, of: int) -> float:
    return count * math.log(count / of) if count > 0 else 0.0


def _rate(values: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    known = values[where & ~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _percent(share: float) -> str:
    return "nothing known" if math.isnan(share) else f"{100 * share:.3g} %"
