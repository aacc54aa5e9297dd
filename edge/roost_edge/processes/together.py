"""Which roles share a process: a pure function of the settings.

A process costs about 20 MB before it does anything: Python, asyncio, the client of the broker. With `compact` those
beside the flow (archive, monitor, alerts, desk; the page, where nobody but this device reaches it) are one process,
`aside`. What answers and what captures keeps its own: there a crash, a hang or a library that eats memory must stay
where it is. Each role keeps its name, its session on the broker, its rights and its state; see docs/decisions/0020.
"""

from roost_edge.processes.plan import Kind, RoleProcess, plan
from roost_edge.settings.device import Settings

ASIDE = "aside"
"""Name of the process. No role can be called so: a role's name begins with its kind."""
_BESIDE_THE_FLOW: frozenset[Kind] = frozenset({"decoy", "monitor", "alerts", "desk"})


def shares(settings: Settings, role: RoleProcess) -> bool:
    """Whether this role runs in the process `aside`."""
    if role.kind == "page":
        return settings.node.compact and settings.page is not None and settings.page.local
    return settings.node.compact and role.kind in _BESIDE_THE_FLOW


def members(settings: Settings) -> tuple[RoleProcess, ...]:
    """The roles of the process `aside`, in the order of starting; empty where every role has its own."""
    return tuple(role for role in plan(settings) if shares(settings, role))


def process_of(settings: Settings, role: RoleProcess) -> str:
    """Name of the process that runs this role."""
    return ASIDE if shares(settings, role) else role.name
