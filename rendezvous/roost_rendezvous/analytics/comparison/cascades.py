"""What models find one behind the other, and what a change of the first does to the whole (promise C1). Pure.

A cascade finds what any of its stages finds; each stage looks at what the earlier ones let pass. The book's example
(ch. 6): A finds 40 % of all frauds, B 40 % others, together 80 %. A better A' finds 70 %, but among them all that B
finds: together 70 %. Whoever looks at A' alone promotes a loss.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from roost_rendezvous.analytics.binomial import mcnemar

Flags: TypeAlias = NDArray[np.bool_]
"""Of each case that should be found, whether a stage marks it when it is asked."""
Advice: TypeAlias = Literal["promote", "do not promote", "no difference seen"]
SURE = 0.05


class Link(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One stage; shares of all cases."""

    stage: str
    alone: float
    """What it would find by itself."""
    adds: float
    """What it finds of what the stages before it let pass."""


class Effect(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a cascade finds."""

    cases: int
    links: list[Link]
    whole: float

    def adds(self, stage: str) -> float:
        """What this stage adds; 0 when it is none of the cascade's."""
        return next((link.adds for link in self.links if link.stage == stage), 0.0)


class Exchange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One stage exchanged for another, on the same cases."""

    old: str
    new: str
    before: Effect
    after: Effect
    gained: int
    """Cases that only the new cascade finds."""
    lost: int
    p_value: float
    """McNemar's exact test that gained and lost differ so much by chance."""
    advice: Advice
    sentence: str


def effect(stages: Sequence[str], flags: Mapping[str, Flags]) -> Effect:
    """What these stages find, in this order. Raises ValueError when there is no case."""
    cases = int(flags[stages[0]].size)
    if not cases:
        raise ValueError("a cascade is judged by the cases that should be found, and there is none")
    open_ = np.ones(cases, dtype=np.bool_)
    links = []
    for stage in stages:
        found = flags[stage] & open_
        links.append(Link(stage=stage, alone=float(flags[stage].mean()), adds=float(found.mean())))
        open_ &= ~found
    return Effect(cases=cases, links=links, whole=float(1 - open_.mean()))


def exchange(stages: Sequence[str], old: str, new: str, flags: Mapping[str, Flags]) -> Exchange:
    """What becomes of the whole when `new` takes the place of `old`; the advice goes by the whole alone."""
    changed = [new if stage == old else stage for stage in stages]
    before, after = effect(stages, flags), effect(changed, flags)
    was, is_ = _whole(stages, flags), _whole(changed, flags)
    gained, lost = int((is_ & ~was).sum()), int((was & ~is_).sum())
    p_value = mcnemar(gained, lost)
    advice: Advice = "no difference seen"
    if p_value < SURE:
        advice = "promote" if gained > lost else "do not promote"
    return Exchange(
        old=old,
        new=new,
        before=before,
        after=after,
        gained=gained,
        lost=lost,
        p_value=p_value,
        advice=advice,
        sentence=_sentence(before, after, stages, old, new, advice),
    )


def _whole(stages: Sequence[str], flags: Mapping[str, Flags]) -> Flags:
    return np.asarray(np.logical_or.reduce([flags[stage] for stage in stages]), dtype=np.bool_)


def _sentence(before: Effect, after: Effect, stages: Sequence[str], old: str, new: str, advice: Advice) -> str:
    place = list(stages).index(old)
    alone = f"{new} alone finds {_percent(after.links[place].alone)} ({old}: {_percent(before.links[place].alone)})"
    whole = f"the whole finds {_percent(after.whole)} (now: {_percent(before.whole)})"
    hit = [
        f"{stage} adds {_percent(after.adds(stage))} (now: {_percent(before.adds(stage))})"
        for stage in stages
        if stage != old and abs(after.adds(stage) - before.adds(stage)) >= 0.01
    ]
    better = after.links[place].alone > before.links[place].alone
    link = "but" if better == (advice == "do not promote") else "and"
    return f"{alone}, {link} {'; '.join([whole, *hit])}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
