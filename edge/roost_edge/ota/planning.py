"""What is next for a line, given what stands and what is wanted. Pure, without memory: the machine keeps the time."""

from typing import Literal, NamedTuple, TypeAlias

from roost_broker.messages.fleet import OtaPhase
from roost_edge.ota.goal import Goal
from roost_edge.ota.standing import Content, Standing


class Swap(NamedTuple):
    """The other slot is to answer; `back`: it answered before, and the document wants it again."""

    back: bool
    beside: Literal["shadow", "fallback", "rejected"]
    """What becomes of the slot that answered."""


class Bring(NamedTuple):
    """This bundle is to come into the other slot."""

    content: Content


class Drop(NamedTuple):
    """What evaluates in the other slot is wanted no more."""


class Rest(NamedTuple):
    """All is as it is wanted, or cannot be; then `problem` says why."""

    phase: OtaPhase
    problem: str = ""


Plan: TypeAlias = Swap | Bring | Drop | Rest


def plan(standing: Standing, goal: Goal | None, delivered: Content, *, ready: bool) -> Plan:
    """The next thing. `ready`: the other slot's process is warm."""
    if goal is None:
        return Rest(_settled(standing))
    target = goal.active or delivered
    if standing.serving.digest != target.digest:
        return _towards(standing, goal, target, ready=ready)
    besides, shadow = standing.besides, goal.shadow
    if standing.beside == "shadow" and (shadow is None or besides is None or besides.digest != shadow.digest):
        return Drop()
    if shadow is None or standing.beside == "shadow" or shadow.digest == target.digest:
        return Rest("serving" if goal.role == "serving" else _settled(standing))
    if why := _rejected(standing, shadow):
        return Rest("failed", why)
    return Bring(shadow)


def _towards(standing: Standing, goal: Goal, target: Content, *, ready: bool) -> Plan:
    """Another bundle than the one that answers is to answer."""
    if why := _rejected(standing, target):
        return Rest("failed", why)
    besides = standing.besides
    if besides is None or besides.digest != target.digest or standing.beside not in ("shadow", "fallback"):
        return Bring(target)
    if standing.beside == "shadow" and not ready:
        return Rest("warming")
    if goal.role == "serving":
        return Swap(back=False, beside="fallback")
    still_tried = goal.shadow is not None and goal.shadow.digest == standing.serving.digest
    return Swap(back=True, beside="shadow" if still_tried else "rejected")


def _rejected(standing: Standing, content: Content) -> str:
    rejection = standing.rejection(content.digest)
    return "" if rejection is None else f"{content.title} is rejected here: {rejection.why}"


def _settled(standing: Standing) -> OtaPhase:
    return "shadow" if standing.beside == "shadow" else "serving" if standing.beside == "fallback" else "idle"
