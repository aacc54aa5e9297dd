"""How much a picture would teach, and why. Pure.

Each reason is worth points; a picture is worth their sum. What is compared is what was said then: the official answer
with the canary's (the one model that never changes), models with each other, the best score with the next.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from roost_broker.errors import Misuse
from roost_models.labels.candidate import Candidate, Said
from roost_models.labels.standing import Standing

Kind: TypeAlias = Literal[
    "suggestion",
    "authors-disagree",
    "canary-disagrees",
    "models-disagree",
    "close",
    "rare",
    "default",
    "fallback",
    "alarm",
]


@dataclass(frozen=True, slots=True)
class Weights:
    """Points of each reason at its strongest, and from where on it counts. Raises `Misuse`."""

    suggestion: float = 4.0
    authors_disagree: float = 4.0
    canary: float = 3.0
    models: float = 1.5
    close: float = 2.0
    rare: float = 1.5
    default: float = 2.0
    fallback: float = 0.5
    alarm: float = 2.0
    close_margin: float = 0.4
    """A best score less than this above the next is close."""
    rare_share: float = 0.05
    """A label that is the answer of less than this share of the cases is rare …"""
    rare_from: int = 20
    """… if there are so many cases at least."""
    repeats: int = 10
    """So many of a kind in front halve the points of the next."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise Misuse(f"A weight of {value} ({field.name}) cannot be.", "Use 0 or more.")
        if self.repeats < 1:
            raise Misuse(f"repeats is {self.repeats}.", "Use 1 or more.")
        for name in ("close_margin", "rare_share"):
            if not 0 < getattr(self, name) <= 1:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Use more than 0, and 1 at most.")


@dataclass(frozen=True, slots=True)
class Why:
    """One reason to ask about a picture."""

    kind: Kind
    text: str
    points: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the case itself."""

    canary: str = "canary"
    """The model that never changes."""
    alarms: frozenset[str] = frozenset()
    """Labels that set somebody running when they are the official answer."""
    cases: int = 0
    answers: Mapping[str, int] | None = None
    """How often each label was the official answer among `cases`."""


def whys(one: Candidate, holds: Standing, around: Surroundings, weights: Weights) -> tuple[Why, ...]:
    """Every reason to ask about this picture, the strongest first."""
    found = [
        *_people(holds, weights),
        *_canary(one, around, weights),
        *_models(one, around, weights),
        *_close(one, weights),
        *_rare(one, around, weights),
        *_outcome(one, around, weights),
    ]
    return tuple(sorted((why for why in found if why.points > 0), key=lambda why: (-why.points, why.kind, why.text)))


def _people(holds: Standing, weights: Weights) -> list[Why]:
    found = []
    if holds.conflict:
        found.append(Why("authors-disagree", f"People disagree: {holds.told}", weights.authors_disagree))
    if holds.pending:
        said = "; ".join(dict.fromkeys(f"{entry.author} says {entry.label}" for entry in holds.pending[:5]))
        found.append(Why("suggestion", f"Suggested: {said}", weights.suggestion))
    return found


def _canary(one: Candidate, around: Surroundings, weights: Weights) -> list[Why]:
    canary = next((said for said in one.said if said.model == around.canary and said.label), None)
    if canary is None or one.official_model in ("", around.canary) or canary.label == one.official:
        return []  # a default is no model's opinion: it has a reason of its own
    # A canary that hesitates says less than one that is sure.
    points = weights.canary * (0.5 + 0.5 * _share(canary.score))
    return [Why("canary-disagrees", f"The canary says {canary.label}, the answer was {one.official}", points)]


def _models(one: Candidate, around: Surroundings, weights: Weights) -> list[Why]:
    others = [said for said in one.said if said.label and said.model not in (around.canary, one.official_model)]
    other = [said for said in others if said.label != one.official]
    if not one.official:
        labels = {said.label for said in others}
        return [Why("models-disagree", f"Models disagree: {_list(others)}", weights.models)] if len(labels) > 1 else []
    if not other:
        return []
    points = weights.models * len(other) / len(others)
    return [Why("models-disagree", f"{_list(other)}; the answer was {one.official}", points)]


def _close(one: Candidate, weights: Weights) -> list[Why]:
    said = next((said for said in one.said if said.model == one.official_model and said.margin is not None), None)
    if said is None or said.margin is None or said.margin >= weights.close_margin:
        return []
    points = weights.close * (1 - max(0.0, said.margin) / weights.close_margin)
    return [Why("close", f"A close call: {said.label} is ahead by {max(0.0, said.margin):.2f}", points)]


def _rare(one: Candidate, around: Surroundings, weights: Weights) -> list[Why]:
    if not one.official or around.answers is None or around.cases < weights.rare_from:
        return []
    times = around.answers.get(one.official, 0)
    share = times / around.cases
    if share >= weights.rare_share:
        return []
    points = weights.rare * (1 - share / weights.rare_share)
    return [Why("rare", f"{one.official} is rare: {times} of {around.cases} answers", points)]


def _outcome(one: Candidate, around: Surroundings, weights: Weights) -> list[Why]:
    found = []
    if one.cause == "default":
        found.append(
            Why("default", f"No model answered in time; the default {one.official} was given", weights.default)
        )
    elif one.cause == "fallback":
        found.append(Why("fallback", f"The preferred model did not answer; {one.official_model} did", weights.fallback))
    if one.official in around.alarms:
        found.append(Why("alarm", f"{one.official} raised an alarm", weights.alarm))
    return found


def _list(said: list[Said]) -> str:
    return ", ".join(f"{one.model} says {one.label}" for one in said[:4])


def _share(score: float) -> float:
    return min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0
