"""Which slots of the models that are kept up to date have a process: read from how the OTA agent left them.

So a start, however it comes about, runs what answered last and what evaluates beside it, whether the agent runs or not.
"""

from collections.abc import Iterable

from roost_broker.errors import Misuse
from roost_edge.ota.lines import Line, Slot
from roost_edge.ota.pointers import OtaFolder
from roost_edge.processes.plan import RoleProcess, candidates
from roost_edge.settings.device import Settings


def slot_of(settings: Settings, role: RoleProcess) -> tuple[Line, Slot] | None:
    """The slot that this role runs; None for any other role."""
    if role.kind != "model":
        return None
    for line in settings.lines:
        slot = line.slot_of(role.model) if line.task == role.task else None
        if slot is not None:
            return line, slot
    return None


def to_start(settings: Settings, roles: Iterable[RoleProcess]) -> tuple[RoleProcess, ...]:
    """`roles` with those slots that hold something which is to run, in the order of starting."""
    folder = OtaFolder(settings.layout.ota)
    found: list[RoleProcess] = []
    for role in roles:
        known = slot_of(settings, role)
        standing = folder.standing(known[0]) if known is not None else None
        if known is None or standing is None:
            found.append(role)
            continue
        names = {known[0].name(slot) for slot in standing.running}
        found += [one for one in (role, *candidates(settings)) if one.task == role.task and one.model in names]
    return tuple(found)


def beside(settings: Settings, role: RoleProcess) -> bool:
    """Whether this role is a slot that does not answer: nobody waits for it."""
    known = slot_of(settings, role)
    if known is None:
        return False
    standing = OtaFolder(settings.layout.ota).standing(known[0])
    return (standing.active if standing is not None else "a") != known[1]


def candidate(settings: Settings, name: str) -> RoleProcess | None:
    """The slot that a role's name stands for, whether it runs or not; None when it is no slot."""
    first = (RoleProcess("model", line.task, line.model) for line in settings.lines)
    return next((role for role in (*first, *candidates(settings)) if role.name == name), None)


def check_removable(settings: Settings, role: RoleProcess) -> None:
    """Raise `Misuse` for the slot that answers."""
    if not beside(settings, role):
        raise Misuse(f"{role.name} answers and is not removed.", "Let the other slot answer first: roost ota return.")
