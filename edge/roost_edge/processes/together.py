"""Which roles of a compact device share a process, and which are forked from one: pure functions of the settings.

A process costs about 20 MB before it does anything: Python, asyncio, the client of the broker; a model 20 more, for
NumPy and its interpreter. With `compact`

* those beside the flow (archive, monitor, alerts, desk; the page, where nobody but this device reaches it) are one
  process, `aside`;
* two or more models have processes of their own that share what they have imported: they are forked from one,
  `flock`. Models that are kept up to date are not among them: their slots come and go.

What answers and what captures keeps its own: there a crash, a hang or a library that eats memory must stay where it
is. Each role keeps its name, its session on the broker, its rights and its state; see docs/decisions/0020.
"""

from roost_edge.processes.plan import Kind, RoleProcess, plan
from roost_edge.settings.device import Settings

ASIDE = "aside"
"""Name of the process. No role can be called so: a role's name begins with its kind."""
FLOCK = "flock"
"""Name of the process from which the models are forked."""
_BESIDE_THE_FLOW: frozenset[Kind] = frozenset({"decoy", "monitor", "alerts", "desk"})


def process_of(settings: Settings, role: RoleProcess) -> str:
    """Name of the process that runs this role, or has forked the one that does."""
    if not settings.node.compact:
        return role.name
    if role.kind in _BESIDE_THE_FLOW or (role.kind == "page" and settings.page is not None and settings.page.local):
        return ASIDE
    return FLOCK if role in _flock(settings) else role.name


def shares(settings: Settings, role: RoleProcess) -> bool:
    """Whether this role has no process of its own for whoever starts processes."""
    return process_of(settings, role) != role.name


def members(settings: Settings, process: str) -> tuple[RoleProcess, ...]:
    """The roles of `ASIDE` or `FLOCK`, in the order of starting; empty where every role has a process to itself."""
    return tuple(role for role in plan(settings) if shares(settings, role) and process_of(settings, role) == process)


def _flock(settings: Settings) -> tuple[RoleProcess, ...]:
    found = tuple(
        role for role in plan(settings) if role.kind == "model" and not settings.tasks[role.task].models[role.model].ota
    )
    return found if len(found) > 1 else ()
