"""Which of the messages that come often the watch has had enough of: states told again, floods of traces. Pure."""

from roost_broker.deadletter import RateLimit
from roost_broker.messages import Message, ModelState, RoleState, Trace

_MOST_STATES = 1_000


class Restraint:
    """Of states one in `every_ns` is enough, unless it is another state; of traces 20 a second."""

    def __init__(self, every_ns: int) -> None:
        self._every = every_ns
        self._traces = RateLimit(burst=200, per_s=20)
        self._states: dict[tuple[str, str], tuple[int, str, int]] = {}

    def enough(self, task: str, message: Message, monotonic: int) -> bool:
        """Whether this one may be left out."""
        if isinstance(message, Trace):
            return not self._traces.take(monotonic)
        if not isinstance(message, ModelState | RoleState):
            return False
        key = (task, message.model if isinstance(message, ModelState) else message.role)
        at, state, session = self._states.get(key, (0, "", -1))
        if (state, session) == (message.state, message.session) and monotonic - at < self._every:
            return True
        if key in self._states or len(self._states) < _MOST_STATES:
            self._states[key] = (monotonic, message.state, message.session)
        return False
