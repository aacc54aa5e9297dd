"""Roles by their names, and whether the process of one is to run: what a unit of systemd, which knows a name, asks.

`roost up` starts exactly what is to run. Units are there for every slot, so each process looks itself: it is in charge,
or stands by for a hand-over that was asked for, or its slot holds something (see `slots`, `model_slots`), or there is
nothing for it to do.
"""

from roost_broker.errors import Misuse
from roost_edge.processes import model_slots
from roost_edge.processes.plan import RoleProcess, candidates, plan
from roost_edge.processes.slots import Standing, in_charge, other, placed
from roost_edge.settings.device import Settings


def every(settings: Settings) -> tuple[RoleProcess, ...]:
    """All roles that can ever run on the device: those planned, and the other slots of those that have some."""
    planned = plan(settings)
    return (*planned, *(other(role) for role in planned if role.has_slots), *candidates(settings))


def named(settings: Settings, name: str) -> RoleProcess:
    """The role called so. Raises `Misuse`."""
    roles = every(settings)
    found = next((role for role in roles if role.name == name), None)
    if found is None:
        raise Misuse(
            f"The settings have no role {name[:100]!r}.",
            f"They have: {', '.join(role.name for role in roles)}. After a change of the settings: roost units apply.",
        )
    return found


def standing_of(settings: Settings, role: RoleProcess, *, standby: bool) -> tuple[RoleProcess, Standing] | None:
    """How the process of this role is to run; None when it is not to. `standby`: a hand-over has asked for it."""
    if role.has_slots:
        if not standby and in_charge(settings.layout, role) != role:
            return None
        return placed(settings.layout, role, role.slot, standby=standby)
    if model_slots.slot_of(settings, role) is not None:
        running = model_slots.to_start(settings, plan(settings))
        return (role, "alone") if any(one.name == role.name for one in running) else None
    return role, "alone"
