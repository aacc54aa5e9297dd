"""The models of a task as an operator sees them, and the end of one: retired when no schedule names it any more (L10).

A retired model's retained state is cleared, so that nobody waits for it or counts it. Its bundle, its answers in the
archive and what it attained stay. Refused while the schedule in force names it anywhere, `ignore` included, and while
one of its processes runs: what is still asked, or would speak again, is not retired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.messages import Event, ModelState, encode
from roost_broker.topics import TaskTopics
from roost_rendezvous.schedule import ANY, Schedule
from roost_rendezvous.schedule.doubts import never_official
from roost_rendezvous.survey import Survey

ENDED = frozenset({"gone", "stopped", "failed"})
"""States in which no process of a model serves."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One process of one model, or a model that only the schedule knows (`state` is then `unknown`)."""

    model: str
    replica: int
    state: str
    version: str
    place: str
    """Where the schedule in force has it, in words."""
    counts: Mapping[str, int] = field(default_factory=dict)


def place(schedule: Schedule, model: str) -> str:
    """Where a schedule has a model: `from 0 ms`, `rollout 0.1`, `quorum jury`, `ignored`; else `not named`. Pure."""
    steps = (f"from {step.after_ms} ms" for step in schedule.steps if model in step.accept)
    found = [first] if (first := next(steps, "")) else []
    if model in schedule.rollout:
        found.append(f"rollout {schedule.rollout[model]:g}")
    if model in schedule.random:
        found.append(f"random {schedule.random[model]:g}")
    found += [f"quorum {name}" for name, quorum in schedule.quorum.items() if model in quorum.members]
    if model in schedule.rank:
        found.append("rank")
    if model in schedule.sample:
        found.append(f"sample {schedule.sample[model]:g}")
    if never_official(schedule, model):
        found.append("never official")
    if model in schedule.ignore:
        found.append("ignored")
    if found:
        return ", ".join(found)
    anybody = any(ANY in step.accept for step in schedule.steps)
    return 'not named, but "*" lets it in' if anybody else "not named"


def named(schedule: Schedule, model: str) -> bool:
    """Whether a schedule names the model anywhere."""
    return not place(schedule, model).startswith("not named")


def models(found: Survey, schedule: Schedule | None) -> list[Listed]:
    """Every model that has a state or that the schedule names, by name and replica. Pure."""
    listed = [
        Listed(name, replica, state.state, state.version, _place(schedule, name), state.counts)
        for (name, replica), state in sorted(found.models.items())
    ]
    known = {name for name, _ in found.models}
    expected = {*schedule.models, *schedule.ignore, *schedule.sample} if schedule is not None else set()
    listed += [Listed(name, 0, "unknown", "", _place(schedule, name)) for name in sorted(expected - known)]
    return listed


def check_retirement(found: Survey, schedule: Schedule, model: str) -> list[ModelState]:
    """The states to clear. Raises `PeerError` when the model cannot be retired, with what to do first. Pure."""
    if named(schedule, model):
        raise PeerError(
            f"The model {model} is named in the schedule in force ({schedule.version}): {place(schedule, model)}.",
            "Put a schedule in force that does not name it: roost schedule apply FILE.",
        )
    states = [state for (name, _), state in found.models.items() if name == model]
    if not states:
        raise PeerError(f"No model {model} has a state here.", "roost model list shows the models there are.")
    running = sorted({state.state for state in states} - ENDED)
    if running:
        raise PeerError(
            f"The model {model} is still running ({', '.join(running)}).",
            "Take it out of the settings and stop its process first.",
        )
    return states


async def retire(
    bus: Bus, topics: TaskTopics, states: list[ModelState], *, author: str, why: str, clock: Clock
) -> None:
    """Clear the retained states and say so in an event. `bus` is not started yet; it is stopped at the end."""
    model = states[0].model
    head = new_header(clock, topics.device.node, "operator")
    event = Event(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        kind="model-retired",
        detail=f"The model {model} of {topics.task} was retired.",
        data={"task": topics.task, "model": model, "version": states[0].version, "author": author, "why": why},
    )
    await bus.start()
    try:
        for state in states:
            await bus.publish(topics.model_state(model, state.replica), b"", retain=True)
        await bus.publish(topics.device.event, encode(event))
    finally:
        await bus.stop()


def _place(schedule: Schedule | None, model: str) -> str:
    return "no schedule is known" if schedule is None else place(schedule, model)
