"""Every new model beside the same old canary, and what is usual for that (promise K5; the book, ch. 6). Pure.

The canary stays for years. How far each model was from it is kept; a new one that is further (or nearer) than its
forerunners let expect is worth a look, whatever its other figures say.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.comparison.comparing import Whole
from roost_rendezvous.analytics.reading import Reading, Signal

ENOUGH = 4
"""Forerunners below which nothing is usual."""
MOST = 500
"""Comparisons kept; the oldest go."""
_LEVEL_T = {
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
    8: 2.306,
    9: 2.262,
    10: 2.228,
    15: 2.131,
    20: 2.086,
    30: 2.042,
}
"""Student's t, two-sided 95 %, by degrees of freedom; between them the smaller number's."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One comparison with the canary."""

    canary: str
    model: str
    at: int
    """End of the period, nanoseconds."""
    compared: int
    differing: float
    """Share of requests in which the two are not almost identical."""
    quantile_difference: float
    """Mean distance of the quantiles over all labels."""


class Band(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is usual beside this canary: 95 of 100 further models lie in between."""

    canary: str
    models: int
    low: float
    usual: float
    high: float


def kept(whole: Whole, canary: str) -> Kept:
    """What to keep of a comparison of which one side is the canary. Raises `Misuse`."""
    found = whole.found
    names = (found.one.name, found.other.name)
    if canary not in names:
        raise Misuse(f"{canary} is neither {names[0]} nor {names[1]}.", "Compare with the canary.")
    side = found.other if canary == found.one.name else found.one
    apart = [float(scores.apart.mean()) for scores in whole.scores]
    return Kept(
        canary=canary,
        model=f"{side.name}@{side.versions[-1]}" if "@" not in side.name and len(side.versions) == 1 else side.name,
        at=found.last_at or 0,
        compared=found.agreement.compared,
        differing=found.agreement.risk,
        quantile_difference=sum(apart) / len(apart) if apart else 0.0,
    )


def judged(whole: Whole, known: "CanaryBands", new: Kept) -> Whole:
    """The comparison with what its canary's earlier ones say of it; an unusual model is not promoted unseen."""
    said = known.judge(new, whole.found.task).sentence
    found = msgspec.structs.replace(whole.found, band=said)
    if known.outside(new):
        held = "continue" if found.recommendation == "promote" else found.recommendation
        found = msgspec.structs.replace(found, recommendation=held, reasons=[*found.reasons, said])
    return replace(whole, found=found)


class CanaryBands:
    """All comparisons with canaries, newest of each model."""

    def __init__(self, comparisons: Iterable[Kept] = (), *, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[tuple[str, str], Kept] = {}
        for one in comparisons:
            self.add(one)

    def add(self, one: Kept) -> None:
        """One more; a model compared again counts once, by its newest."""
        key = (one.canary, one.model)
        if key not in self._kept or self._kept[key].at <= one.at:
            self._kept.pop(key, None)
            self._kept[key] = one
        if len(self._kept) > self._most:
            self._kept.pop(min(self._kept, key=lambda name: self._kept[name].at))

    def of(self, canary: str, *, without: str = "") -> list[Kept]:
        """Comparisons with this canary, in order of time, without one model's."""
        found = [one for one in self._kept.values() if one.canary == canary and one.model != without]
        return sorted(found, key=lambda one: (one.at, one.model))

    def band(self, canary: str, *, without: str = "") -> Band | None:
        """None with too few forerunners."""
        before = self.of(canary, without=without)
        return _band(canary, before) if len(before) >= ENOUGH else None

    def judge(self, one: Kept, task: str = "") -> Reading:
        """How unusual a model is beside the canary. The surprise is in standard deviations of its forerunners."""
        signal = Signal(task=task, kind="agreement", subject="model", of=one.model, part=one.canary)
        before = self.of(one.canary, without=one.model)
        if len(before) < ENOUGH:
            why = f"not enough history: {len(before)} of {ENOUGH} models were compared with {one.canary}"
            return Reading(
                signal=signal,
                at=one.at,
                now=one.differing,
                unit="share",
                events=one.compared,
                why_not=why,
                sentence=why,
            )
        band = _band(one.canary, before)
        inside = band.low <= one.differing <= band.high
        said = f"{one.model} differs from {one.canary} in {100 * one.differing:.3g} % of the requests; usual are "
        said += f"{100 * band.low:.3g} to {100 * band.high:.3g} % ({band.models} models before it)"
        return Reading(
            signal=signal,
            at=one.at,
            surprise=_surprise(one, before),
            normal=band.usual,
            now=one.differing,
            unit="share",
            events=one.compared,
            sentence=said if inside else f"unusual: {said}",
        )

    def outside(self, one: Kept) -> bool:
        """Whether this model is further from (or nearer to) the canary than the band."""
        band = self.band(one.canary, without=one.model)
        return band is not None and not band.low <= one.differing <= band.high

    def snapshot(self) -> list[dict[str, Any]]:
        """Plain values."""
        found: list[dict[str, Any]] = msgspec.to_builtins(sorted(self._kept.values(), key=lambda one: one.at))
        return found

    @classmethod
    def restore(cls, snapshot: Sequence[dict[str, Any]], *, most: int = MOST) -> "CanaryBands":
        """Go on from a snapshot."""
        return cls(msgspec.convert(snapshot, list[Kept]), most=most)


def _logit(one: Kept) -> float:
    """Shares near 0 vary less than shares near a half; on this scale they do not. A half request on either side."""
    count = one.differing * one.compared + 0.5
    return math.log(count / (one.compared - count + 1))


def _band(canary: str, before: Sequence[Kept]) -> Band:
    values = np.array([_logit(one) for one in before])
    middle, spread = float(values.mean()), _spread(before)
    half = _t(len(before) - 1) * spread * math.sqrt(1 + 1 / len(before))
    return Band(
        canary=canary,
        models=len(before),
        low=_share(middle - half),
        usual=_share(middle),
        high=_share(middle + half),
    )


def _spread(before: Sequence[Kept]) -> float:
    """Never narrower than what counting so few requests makes of it."""
    values = np.array([_logit(one) for one in before])
    noise = np.mean([1 / (one.compared * max(one.differing * (1 - one.differing), 1 / one.compared)) for one in before])
    return math.sqrt(max(float(values.var(ddof=1)), float(noise)))


def _surprise(one: Kept, before: Sequence[Kept]) -> float:
    values = np.array([_logit(each) for each in before])
    return abs(_logit(one) - float(values.mean())) / (_spread(before) * math.sqrt(1 + 1 / len(before)))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _t(freedom: int) -> float:
    known = [value for least, value in _LEVEL_T.items() if least <= freedom]
    return min(known) if freedom < 30 else 2.0
