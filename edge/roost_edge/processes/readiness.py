"""Who is ready: the retained states of all roles, followed on the broker.

A state counts only when its session is newer than the one before the process was started: the broker still holds
what an earlier process said, and a last will may arrive late.
"""

import asyncio
from collections.abc import Mapping

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import within
from roost_broker.errors import Malformed
from roost_broker.messages import ModelState, RoleState, decode
from roost_broker.topics import NodeTopics, TaskTopics
from roost_edge.processes.plan import RoleProcess


def state_topic(topics: NodeTopics, role: RoleProcess) -> str:
    """Where this role publishes its state."""
    if role.kind == "model":
        return topics.task(role.task).model_state(role.model, role.replica)
    return topics.role(role.name)


class Readiness:
    """Follows the states of `roles` on a bus that is not started yet."""

    def __init__(self, bus: Bus, topics: NodeTopics, roles: tuple[RoleProcess, ...]) -> None:
        self._names = {state_topic(topics, role): role.name for role in roles}
        self._states: dict[str, ModelState | RoleState] = {}
        self._ready: dict[str, int] = {}
        self._news = asyncio.Event()
        bus.subscribe(topics.all_roles, self._take)
        for task in sorted({role.task for role in roles if role.kind == "model"}):
            bus.subscribe(TaskTopics(topics, task).all_model_states, self._take)

    def state(self, name: str, *, after_session: int) -> str:
        """`starting`, `ready`, `failed` …; `unknown` when nothing newer than `after_session` was said."""
        known = self._states.get(name)
        return known.state if known is not None and known.session > after_session else "unknown"

    def was_ready(self, name: str, *, after_session: int) -> bool:
        """Whether the role has been ready in a session newer than `after_session`, whatever it said since."""
        return self._ready.get(name, 0) > after_session

    def waiting(self, sessions: Mapping[str, int]) -> list[str]:
        """Those of `sessions` (name → session before) that are not ready."""
        return [name for name, before in sessions.items() if self.state(name, after_session=before) != "ready"]

    async def news(self, timeout_s: float) -> None:
        """Return when a state has arrived since the last call, or after `timeout_s`."""
        try:
            await within(self._news.wait(), timeout_s)
        except TimeoutError:
            return
        self._news.clear()

    def _take(self, delivery: Delivery) -> None:
        name = self._names.get(delivery.topic)
        if name is not None and delivery.payload:
            try:
                message = decode(delivery.payload)
            except Malformed:
                message = None  # somebody else's; whoever owns the topic will say it again
            if isinstance(message, ModelState | RoleState):
                known = self._states.get(name)
                if known is None or message.session >= known.session:
                    self._states[name] = message
                    if message.state == "ready":
                        self._ready[name] = message.session
                    self._news.set()
        delivery.ack()
