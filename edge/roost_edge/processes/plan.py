"""Which processes a settings file asks for: a pure function of the settings.

Order is the order of starting: whoever consumes is there before whoever produces, so the cameras come last.
Stopping goes the other way round, by `stage`.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from roost_broker.errors import Misuse
from roost_broker.topics import check_name
from roost_edge.settings.device import Settings

Kind: TypeAlias = Literal[
    "rendezvous",
    "decoy",
    "monitor",
    "alerts",
    "notify",
    "feed",
    "gateway",
    "desk",
    "model",
    "injector",
    "proxy",
    "ota",
    "page",
    "capture",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_STAGE: dict[Kind, int] = {
    "capture": 0,
    "proxy": 0,
    "injector": 1,
    "model": 2,
    "rendezvous": 2,
    "decoy": 2,
    "alerts": 3,
    "notify": 3,
    "monitor": 3,
    "feed": 3,
    "ota": 0,
    "desk": 0,
    "page": 0,
    "gateway": 4,  # it carries away what all others said
}


@dataclass(frozen=True, slots=True)
class RoleProcess:
    """One process. Some serve the whole device (alerts, desk …), a camera its own task, all others the task named."""

    kind: Kind
    task: str = ""
    model: str = ""
    camera: str = ""
    slot: str = ""
    """"" or "b": roles that can hand over run in one of two slots."""
    replica: int = 0
    """Which replica of its model, from 1; 0 for a model with one process."""

    @property
    def has_slots(self) -> bool:
        """Whether it can hand over to a successor while it runs (`roost upgrade`)."""
        return self.kind in ("rendezvous", "injector")

    @property
    def name(self) -> str:
        """Unique on the device: names the process, its log, its session file and (with the node) its MQTT client."""
        parts = (self.kind, self.task, self.model, self.camera, self.slot, self.number)
        return "-".join(part for part in parts if part)

    @property
    def number(self) -> str:
        """The replica as words have it; empty for a model with one process."""
        return str(self.replica or "")

    @property
    def stage(self) -> int:
        """Stages are stopped in rising order: no new requests first, those who answer and record last."""
        return _STAGE[self.kind]

    def arguments(self) -> tuple[str, ...]:
        """For the daemon's command line."""
        pairs = (("--task", self.task), ("--model", self.model), ("--camera", self.camera), ("--replica", self.number))
        return (self.kind, *(word for flag, value in pairs if value for word in (flag, value)))


def plan(settings: Settings) -> tuple[RoleProcess, ...]:
    """Every role of the device in the order in which to start them."""
    tasks = tuple(settings.tasks)
    roles = [RoleProcess("rendezvous", task) for task in tasks]
    roles += [RoleProcess("decoy", task) for task in tasks]
    roles += [RoleProcess("monitor"), RoleProcess("alerts")] if tasks else []
    roles += [RoleProcess("notify")] if tasks and settings.notify is not None else []
    roles += [RoleProcess("feed")] if tasks and settings.feed is not None else []
    roles += [RoleProcess("gateway")] if settings.gateway is not None else []
    roles += [RoleProcess("desk")] if tasks else []
    roles += [
        RoleProcess("model", task, name, replica=number)
        for task in tasks
        for name, model in settings.tasks[task].models.items()
        for number in model.numbers
    ]
    roles += [RoleProcess("injector", task) for task in tasks]
    roles += [RoleProcess("proxy")] if tasks and settings.proxy is not None else []
    roles += [RoleProcess("ota")] if settings.lines and settings.ota is not None else []
    roles += [RoleProcess("page")] if settings.page is not None else []
    roles += [RoleProcess("capture", camera=camera) for camera in settings.cameras]
    second = [replace(role, slot="b") for role in roles if role.has_slots]
    names = [role.name for role in (*roles, *second, *candidates(settings))]
    for name in names:
        check_name("role", name)
        if names.count(name) > 1:  # task "a-b" with model "c", and task "a" with model "b-c"
            raise Misuse(f"Two roles would both be called {name!r}.", "Rename one of the models or tasks.")
    return tuple(roles)


def candidates(settings: Settings) -> tuple[RoleProcess, ...]:
    """Second slots of models that are kept up to date; who runs is in `processes.model_slots`."""
    return tuple(RoleProcess("model", line.task, line.name("b")) for line in settings.lines)


def resolve(
    settings: Settings, kind: str, *, task: str = "", model: str = "", camera: str = "", replica: int = 0
) -> RoleProcess:
    """The role that somebody named on a command line; what is not said is taken where there is only one choice."""
    if kind not in KINDS:
        raise Misuse(f"There is no role {kind!r}.", f"Roles: {', '.join(KINDS)}.")
    matching = [
        role
        for role in (*plan(settings), *(role for role in candidates(settings) if role.model == model))
        if role.kind == kind
        and task in ("", role.task or task)
        and model in ("", role.model)
        and camera in ("", role.camera)
        and replica in (0, role.replica)
    ]
    if len(matching) == 1:
        return matching[0]
    every = [" ".join(role.arguments()) for role in (matching or plan(settings)) if role.kind == kind]
    asked = " ".join(RoleProcess(kind, task, model, camera, replica=replica).arguments())
    if matching:
        raise Misuse(f"`{asked}` could be {len(matching)} roles.", f"Say which: {'; '.join(every)}.")
    raise Misuse(
        f"The settings have no role `{asked}`.",
        f"They have: {'; '.join(every)}." if every else f"They have no {kind} at all.",
    )
