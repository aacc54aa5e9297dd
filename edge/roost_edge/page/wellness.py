"""Is everything well? From what the settings expect and what the roles and models said. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from roost_broker.messages import Alarms, ModelState, RoleState
from roost_edge.page.view import View

Grade: TypeAlias = Literal["good", "warn", "bad", "off"]
GRADES: dict[str, Grade] = {
    "ready": "good",
    "starting": "warn",
    "warming": "warn",
    "failed": "bad",
    "gone": "bad",
    "stopped": "off",
}
Names: TypeAlias = tuple[str, ...]
"""Of one thing that may run under several names: its two slots."""


class Concern(NamedTuple):
    """One thing that is not as it should be."""

    grade: Grade
    what: str
    """A sentence."""
    remedy: str = ""


def concerns(view: View, roles: Iterable[Names], models: Iterable[tuple[str, Names]]) -> list[Concern]:
    """What is not well, worst first. `roles` and `models` (with their tasks) are those that the settings ask for."""
    if not view.broker:
        return [Concern("bad", "The broker is not reachable.", "roost doctor --only broker says what it lacks.")]
    found = [
        _concern(f"The role {names[0]}", [view.roles[one] for one in names if one in view.roles]) for names in roles
    ]
    for task, names in models:
        said = [state for (of, name, _), state in view.models.items() if of == task and name in names]
        found.append(_concern(f"The model {names[0]} of {task}", said))
    if view.ota is not None and view.ota.problem:
        found.append(Concern("warn", view.ota.problem, "roost doctor --only ota says what to do."))
    return sorted((one for one in found if one is not None), key=lambda one: one.grade != "bad")


def learning(lists: Mapping[str, Alarms]) -> bool:
    """Nothing could be an alarm yet: that there is none does not say that all is as usual."""
    return bool(lists) and not any(said.able and not said.why_not for said in lists.values())


def _concern(what: str, said: "Sequence[RoleState | ModelState]") -> Concern | None:
    if not said:
        return Concern("bad", f"{what} has not been heard of.", "Is it running? roost doctor --only roles")
    if any(one.state == "ready" for one in said):
        return None
    best = min(said, key=lambda one: ("starting", "warming", "failed", "stopped", "gone").index(one.state))
    grade: Grade = "warn" if GRADES[best.state] == "warn" else "bad"
    detail = f": {best.detail.rstrip('.')}" if best.detail else ""
    return Concern(grade, f"{what} is {best.state}{detail}.", "Its log says more: roost doctor, and journalctl.")
