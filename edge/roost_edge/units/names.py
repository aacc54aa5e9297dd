"""Roles and the units that run them: pure.

A role with a task, a model or a camera is an instance of its kind's template: `model-nest-champion` runs as
`roost-model@nest-champion.service`. A role of the whole device has a unit of its own: `roost-monitor.service`.
Those that share a process share its unit, `roost-aside.service`; models that are forked from one are of its unit,
`roost-flock.service`.
"""

from roost_edge.processes.plan import Kind, RoleProcess
from roost_edge.processes.together import ASIDE, FLOCK, process_of, shares
from roost_edge.settings.device import Settings

TARGET = "roost.target"
SHARED = f"roost-{ASIDE}.service"
FLOCK_UNIT = f"roost-{FLOCK}.service"
_TARGETS: dict[Kind, str] = {
    "rendezvous": "roost-tasks.target",
    "injector": "roost-tasks.target",
    "decoy": "roost-tasks.target",
    "model": "roost-models.target",
    "capture": "roost-cameras.target",
}
"""Kinds that have templates, and who wants their instances; the others are wanted by `TARGET`."""


def unit_for(settings: Settings, role: RoleProcess) -> str:
    """The unit that runs this role on a device with these settings."""
    return f"roost-{process_of(settings, role)}.service" if shares(settings, role) else unit_of(role)


def unit_of(role: RoleProcess) -> str:
    """The unit that runs this role, where it has a process to itself."""
    if role.kind not in _TARGETS:
        return f"roost-{role.name}.service"
    return f"roost-{role.kind}@{role.name.removeprefix(f'{role.kind}-')}.service"


def template_of(role: RoleProcess) -> str:
    """The file that unit is made from."""
    return f"roost-{role.kind}@.service" if role.kind in _TARGETS else f"roost-{role.kind}.service"


def target_of(role: RoleProcess) -> str:
    """Who wants the unit."""
    return _TARGETS.get(role.kind, TARGET)
