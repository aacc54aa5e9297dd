"""What an operator hears of one device over MQTT, sorted. Pure.

Bounded: it is for the minutes of one story. What comes beyond a bound is counted in `beyond`.
"""

from typing import Final, TypeVar

from roost_broker.errors import Malformed
from roost_broker.messages import (
    Ask,
    Availability,
    Info,
    Message,
    ModelState,
    Reply,
    Request,
    Result,
    RoleState,
    decode,
)

_MOST: Final = 20_000
_FEW: Final = 16
V = TypeVar("V")


class Heard:
    """Feed it messages; look at its parts."""

    def __init__(self) -> None:
        self.nodes: dict[str, Availability] = {}
        """The newest word of each device about itself."""
        self.info: dict[str, Info] = {}
        self.roles: dict[str, RoleState | ModelState] = {}
        """The newest state of each role, and of each model as `task/model`."""
        self.asked: dict[str, Request] = {}
        """Requests on `raw`, by id: these are accepted."""
        self.results: dict[str, Result] = {}
        self.questions: list[Ask] = []
        """What operators asked the device, ourselves included; the newest few."""
        self.replies: dict[str, Reply] = {}
        """By transaction."""
        self.unreadable = 0
        self.beyond = 0

    def feed(self, topic: str, payload: bytes) -> None:
        """One message. What is not of the fleet's making is counted."""
        if not payload:
            return  # a retained message was taken back
        try:
            message = decode(payload)
        except Malformed:
            self.unreadable += 1
            return
        self._sort(topic.split("/"), message)

    def ready(self) -> dict[str, int]:
        """The roles and models that say they are ready, with the session in which they do."""
        return {name: state.session for name, state in self.roles.items() if state.state == "ready"}

    def unready(self) -> dict[str, str]:
        """The others, with what they say."""
        return {
            name: f"{state.state} {state.detail}".strip()
            for name, state in sorted(self.roles.items())
            if state.state != "ready"
        }

    def memory_bytes(self) -> int:
        """What all roles and models together say they use (PSS)."""
        return sum(state.usage.memory_bytes for state in self.roles.values() if state.usage is not None)

    def answered(self) -> tuple[Result, ...]:
        """The results that a model gave, and not the schedule's default."""
        return tuple(result for result in self.results.values() if result.answer is not None)

    def _sort(self, levels: list[str], message: Message) -> None:
        match message:
            case Availability() if len(levels) > 1:
                self._keep(self.nodes, levels[-2], message)
            case Info():
                self._keep(self.info, message.node, message)
            case RoleState():
                self._keep(self.roles, message.role, message)
            case ModelState():
                task = levels[levels.index("models") - 1] if "models" in levels else ""
                self._keep(self.roles, f"{task}/{message.model}", message)
            case Request() if levels[-1] == "raw":
                self._keep(self.asked, message.request_id, message)
            case Result():
                self._keep(self.results, message.request_id, message)
            case Ask():
                self.questions = [*self.questions, message][-_FEW:]
            case Reply():
                self._keep(self.replies, message.transaction, message)
            case _:
                pass

    def _keep(self, where: dict[str, V], key: str, value: V) -> None:
        if key not in where and len(where) >= _MOST:
            self.beyond += 1
            return
        where[key] = value
