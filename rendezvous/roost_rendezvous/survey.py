"""What stands on a task's retained topics: its schedule, its models, the processes that decide. For operators."""

import asyncio
from dataclasses import dataclass, field

from roost_broker.bus import Bus, Delivery
from roost_broker.errors import Malformed
from roost_broker.messages import ModelState, RoleState, ScheduleSet, decode
from roost_broker.topics import TaskTopics

SETTLE_S = 0.3
"""Retained messages come right behind the subscription; MQTT has no word for "that was all"."""


@dataclass(slots=True)
class Survey:
    """What was found. `models` by name and replica."""

    schedule: ScheduleSet | None = None
    models: dict[tuple[str, int], ModelState] = field(default_factory=dict)
    roles: dict[str, RoleState] = field(default_factory=dict)

    def rendezvous_state(self, task: str) -> str:
        """State of the task's rendezvous: of the slot that works, if one does; `absent` when none ever spoke."""
        states = [state.state for role, state in self.roles.items() if role in _rendezvous_roles(task)]
        return "ready" if "ready" in states else states[0] if states else "absent"


async def survey(bus: Bus, topics: TaskTopics, *, settle_s: float = SETTLE_S) -> Survey:
    """Read the retained topics. `bus` is not started yet; it is stopped at the end."""
    found = Survey()

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            return
        if isinstance(message, ScheduleSet):
            found.schedule = message
        elif isinstance(message, ModelState):
            found.models[message.model, message.replica] = message
        elif isinstance(message, RoleState):
            found.roles[message.role] = message

    for topic in (topics.schedule, topics.all_model_states, topics.device.all_roles):
        bus.subscribe(topic, heard)
    await bus.start()
    try:
        await asyncio.sleep(settle_s)
    finally:
        await bus.stop()
    return found


def _rendezvous_roles(task: str) -> tuple[str, str]:
    """The role in its usual slot and in the one of a hand-over."""
    return f"rendezvous-{task}", f"rendezvous-{task}-b"
