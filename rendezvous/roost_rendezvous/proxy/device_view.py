"""What the device says of itself, as far as a caller may want to know it: schedules, models, roles. Pure.

Everything comes from retained topics; what does not decode changes nothing, and is counted by whoever calls.
"""

from typing import Literal, TypeAlias

from msgspec import Struct, field

from roost_broker.errors import Misuse
from roost_broker.messages import ModelState, RoleState, ScheduleSet
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule

MAX_KEPT = 256
"""States of models and of roles that are kept, each; a device with more is not believed."""


class ModelView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model and how it is; of several replicas the number that is ready."""

    model: str
    state: str
    version: str = ""
    runtime: str = ""
    replicas_ready: int = 0


class TaskView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A task: what is promised, and who is there to keep it."""

    task: str
    ready: bool
    """Whether the rendezvous is there to answer."""
    sla_ms: int | None = None
    """An official result is there within so many milliseconds; null until a schedule is known."""
    default_label: str | None = None
    """What is given (with status 504) when no model answers in time."""
    schedule_version: str | None = None
    preferred: list[str] = field(default_factory=list)
    """Models named by the schedule, best first."""
    accepts_any: bool = False
    """Whether a step lets in any other model too ("*")."""
    ignored: list[str] = field(default_factory=list)
    models: list[ModelView] = field(default_factory=list)


class Tasks(Struct, frozen=True):
    """All tasks of the device."""

    tasks: list[TaskView]


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a question asked now would be answered."""

    ok: bool
    broker: bool
    """Connected to it."""
    tasks: dict[str, Literal["ready", "gone"]]
    """Whether each task's rendezvous is there."""
    in_flight: int
    version: str


Saying: TypeAlias = ModelState | RoleState | ScheduleSet
_BEST_FIRST = ("ready", "warming", "starting", "failed", "stopped", "gone")


class DeviceView:
    """See the module. Later sessions are believed; an earlier one's last will may come late."""

    def __init__(self, tasks: tuple[str, ...]) -> None:
        self.tasks = tasks
        self._schedules: dict[str, Schedule] = {}
        self._models: dict[tuple[str, str, int], ModelState] = {}
        self._roles: dict[str, RoleState] = {}

    def take(self, task: str, message: Saying) -> None:
        """Something was said on one of the task's topics, or (with no task) on a role's."""
        if isinstance(message, ScheduleSet):
            try:
                agreed = schedules.parse(message.schedule)
            except Misuse:
                return  # the rendezvous refuses it too, and stays with the one before
            if agreed.task == task:
                self._schedules[task] = agreed
        elif isinstance(message, ModelState):
            _put(self._models, (task, message.model, message.replica), message)
        else:
            _put(self._roles, message.role, message)

    def sla_ms(self, task: str) -> int | None:
        """What the schedule in force promises, if it is known."""
        agreed = self._schedules.get(task)
        return None if agreed is None else agreed.sla_ms

    def ready(self, task: str) -> bool:
        """Whether a rendezvous of this task is there; one that hands over has a second name."""
        names = (f"rendezvous-{task}", f"rendezvous-{task}-b")
        return any(name in self._roles and self._roles[name].state == "ready" for name in names)

    def task(self, task: str) -> TaskView:
        """One task as it is now."""
        agreed = self._schedules.get(task)
        view = TaskView(task=task, ready=self.ready(task), models=self._models_of(task))
        if agreed is None:
            return view
        return TaskView(
            task=task,
            ready=view.ready,
            sla_ms=agreed.sla_ms,
            default_label=agreed.default.label,
            schedule_version=agreed.version,
            preferred=list(agreed.named),
            accepts_any=any(schedules.ANY in step.accept for step in agreed.steps),
            ignored=list(agreed.ignore),
            models=view.models,
        )

    def all_tasks(self) -> Tasks:
        """Every task as it is now."""
        return Tasks([self.task(task) for task in self.tasks])

    def health(self, *, broker: bool, in_flight: int, version: str) -> Health:
        """Whether there is somebody to answer."""
        ready = {task: self.ready(task) for task in self.tasks}
        return Health(
            ok=broker and all(ready.values()),
            broker=broker,
            tasks={task: "ready" if there else "gone" for task, there in ready.items()},
            in_flight=in_flight,
            version=version,
        )

    def _models_of(self, task: str) -> list[ModelView]:
        names = sorted({model for of, model, _ in self._models if of == task})
        return [self._model(task, name) for name in names]

    def _model(self, task: str, name: str) -> ModelView:
        states = [state for (of, model, _), state in self._models.items() if (of, model) == (task, name)]
        best = min(states, key=lambda state: _BEST_FIRST.index(state.state))
        return ModelView(
            model=name,
            state=best.state,
            version=best.version,
            runtime=best.runtime,
            replicas_ready=sum(state.state == "ready" for state in states),
        )


def _put(known: dict, key: object, message: ModelState | RoleState) -> None:  # type: ignore[type-arg]  # two kinds
    before = known.get(key)
    if (before is None and len(known) < MAX_KEPT) or (before is not None and message.session >= before.session):
        known[key] = message
