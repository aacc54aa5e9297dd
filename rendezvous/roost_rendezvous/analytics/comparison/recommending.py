"""What to do with a model in preproduction: retire, continue, promote, with the reasons (promise L5). Pure.

`promote` means: nothing found here speaks against the next step of a roll-out.
Without evidence it is `continue`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_rendezvous.analytics.binomial import mcnemar

Advice: TypeAlias = Literal["retire", "continue", "promote"]

ENOUGH = 300
"""Compared requests below which nothing is said: with none differing of 300 the bound is 1 %."""
ENOUGH_LABELLED = 30
SURE = 0.05
"""Chance of so uneven a split below which one of them counts as better."""
SMALL_RISK = 0.02
"""Upper limit of the risk below which a model is promoted on sameness alone."""
FAILS = 0.01
"""Share of requests that it may fail to answer beyond the champion's own."""
SLOWER = 1.5
"""So many times as slow still counts as alike."""
HOPELESS = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a candidate (`other`) beside the champion (`one`)."""

    compared: int
    risk: float
    upper: float
    failed_one: float = 0.0
    failed_other: float = 0.0
    p99_one_ms: float | None = None
    p99_other_ms: float | None = None
    beyond_one: float = 0.0
    beyond_other: float = 0.0
    """Share of its answers that came after the deadline."""
    only_one: int | None = None
    only_other: int | None = None
    """Requests of known truth in which only this one is right."""
    labelled: int = 0
    canary: str = ""
    """What the band of earlier comparisons with the canary says against it; empty: nothing."""
    whole_worse: str = ""
    """What a cascade says against it, though it may be better alone (`cascade`); empty: nothing."""


def recommend(evidence: Evidence) -> tuple[Advice, list[str]]:
    """The advice and its reasons, the weightiest first."""
    retire: list[str] = []
    hold: list[str] = []
    speak_for: list[str] = []
    if evidence.compared < ENOUGH:
        hold.append(f"only {evidence.compared:,} requests were compared; {ENOUGH:,} say something")
    _answers(evidence, retire, hold)
    _speed(evidence, retire, hold, speak_for)
    _truth(evidence, retire, hold, speak_for)
    if evidence.whole_worse:
        hold.insert(0, evidence.whole_worse)
    if evidence.canary:
        hold.append(evidence.canary)
    if retire and evidence.compared >= ENOUGH:
        return "retire", retire + hold
    if retire or hold:
        return "continue", hold + retire + speak_for
    return "promote", speak_for


def _answers(evidence: Evidence, retire: list[str], hold: list[str]) -> None:
    more = evidence.failed_other - evidence.failed_one
    if more > FAILS:
        told = f"it left {100 * evidence.failed_other:.3g} % of the requests unanswered, the champion "
        told += f"{100 * evidence.failed_one:.3g} %"
        (retire if evidence.failed_other > HOPELESS else hold).append(told)


def _speed(evidence: Evidence, retire: list[str], hold: list[str], speak_for: list[str]) -> None:
    if evidence.beyond_other > evidence.beyond_one + FAILS:
        told = f"{100 * evidence.beyond_other:.3g} % of its answers came after the deadline, of the champion's "
        told += f"{100 * evidence.beyond_one:.3g} %"
        (retire if evidence.beyond_other > HOPELESS else hold).append(told)
    if evidence.p99_one_ms is None or evidence.p99_other_ms is None:
        return
    told = f"p99 {evidence.p99_other_ms:.4g} ms against the champion's {evidence.p99_one_ms:.4g} ms"
    if evidence.p99_other_ms > SLOWER * evidence.p99_one_ms:
        # Slower within the deadline is a price, not a fault: a person decides.
        hold.append(f"it is slower: {told}, more than the {SLOWER:g} times that count as alike")
    elif evidence.p99_other_ms > evidence.p99_one_ms:
        speak_for.append(f"it is about as fast: {told}, within the {SLOWER:g} times that count as alike")
    else:
        speak_for.append(f"it is no slower: {told}")


def _truth(evidence: Evidence, retire: list[str], hold: list[str], speak_for: list[str]) -> None:
    small = evidence.upper <= SMALL_RISK
    bound = f"{100 * evidence.upper:.4g} %"
    if small:
        speak_for.append(f"at most {bound} of its answers can be worse, whatever the truth")
    if evidence.only_one is None or evidence.only_other is None or evidence.labelled < ENOUGH_LABELLED:
        if not small:
            few = f"too few are labelled to say ({evidence.labelled:,})"
            hold.append(f"up to {bound} of the answers may be worse, and {few}")
        return
    split = f"only it is right in {evidence.only_other:,}, only the champion in {evidence.only_one:,}"
    split += f" of {evidence.labelled:,} labelled"
    sure = mcnemar(evidence.only_one, evidence.only_other) < SURE
    if sure and evidence.only_other > evidence.only_one:
        speak_for.insert(0, f"it is better: {split}")
    elif sure:
        retire.append(f"it is worse: {split}")
    elif not small:
        hold.append(f"labels cannot tell them apart yet: {split}")
    else:
        speak_for.append(f"labels speak for neither: {split}")
