"""What a stranger can know from the device's topics alone: messages in, a picture of the present out.

No sockets, no clock, no terminal. Everything kept is bounded. Unreadable messages are counted, never raised.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import (
    Alert,
    Declined,
    ModelState,
    Receipt,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    decode,
)
from roost_broker.receipts import from_gateway
from roost_broker.topics import CameraTopics, TaskTopics
from roost_rendezvous.schedule import Schedule, parse

_REMEMBERED = 1_000  # requests told apart; a repetition comes within seconds
_ALERTS = 50


@dataclass(slots=True)
class ModelView:
    """One model's lane over the whole run."""

    state: str = "unknown"
    version: str = ""
    session: int = -1
    answered: int = 0
    declined: int = 0
    late: int = 0
    """Answers that came when the request's time (its SLA) was over."""
    official: int = 0
    ignored: bool = False


@dataclass(slots=True)
class _Known:
    """What was seen of one request."""

    request: Request | None = None
    result: Result | None = None
    archived: bool = False
    scores: dict[str, Score] = field(default_factory=dict)


class ViewModel:
    """Feed it every message of the device; read its fields."""

    def __init__(self, task: TaskTopics, camera: CameraTopics) -> None:
        self._task = task
        self._camera = camera
        self._requests: OrderedDict[str, _Known] = OrderedDict()
        self.models: dict[str, ModelView] = {}
        self.roles: dict[str, RoleState] = {}
        self.schedule: Schedule | None = None
        self.causes: Counter[str] = Counter()
        self.latest: Result | None = None
        self.requests = 0
        self.answered = 0
        self.in_time = 0
        self.archived = 0
        self.sightings = 0
        """Alerts of type `new`."""
        self.alerts: deque[Alert] = deque(maxlen=_ALERTS)
        self.unreadable = 0
        """Messages that did not decode: somebody misbehaves."""
        self._alerts_seen: OrderedDict[str, None] = OrderedDict()

    def take(self, topic: str, payload: bytes) -> None:
        """Take in one message of any topic."""
        if not payload:
            return
        try:
            message = decode(payload)
        except Malformed:
            self.unreadable += 1
            return
        match message:
            case Request() if topic == self._task.input:
                self._request(message)
            case Score():
                self._score(message)
            case Declined():
                self._model(message.model).declined += 1
            case Result():
                self._result(message)
            case Receipt() if not from_gateway(message):
                self._receipt(message)
            case ModelState():
                self._model_state(message)
            case RoleState():
                known = self.roles.get(message.role)
                if known is None or message.session >= known.session:
                    self.roles[message.role] = message
            case ScheduleSet():
                self._schedule(message)
            case Alert():
                self._alert(message)
            case _:
                pass

    def arrival(self, result: Result, model: str) -> tuple[float, Score] | None:
        """A model's answer, if it has come by now, perhaps after the result, and how many ms after the request.

        By the wall clock of the messages, to the millisecond: a stranger has no better.
        """
        known = self._requests.get(result.request_id)
        score = None if known is None else known.scores.get(model)
        if known is None or known.request is None or score is None:
            return None
        return max(0.0, float(score.timestamp - known.request.timestamp)), score

    def role_counts(self, role: str) -> dict[str, int]:
        """What a role counts in its newest state; empty before it has said anything."""
        state = self.roles.get(role)
        return {} if state is None else state.counts

    @property
    def sla_attainment(self) -> float | None:
        """Share of answers within the SLA, 0 to 1; None before the first."""
        return self.in_time / self.answered if self.answered else None

    def _known(self, request_id: str) -> _Known:
        known = self._requests.setdefault(request_id, _Known())
        if len(self._requests) > _REMEMBERED:
            self._requests.popitem(last=False)
        return known

    def _model(self, name: str) -> ModelView:
        return self.models.setdefault(name, ModelView())

    def _request(self, request: Request) -> None:
        known = self._known(request.request_id)
        if known.request is None:
            known.request = request
            self.requests += 1

    def _score(self, score: Score) -> None:
        known = self._known(score.request_id)
        if score.model in known.scores:
            return
        known.scores[score.model] = score
        lane = self._model(score.model)
        lane.answered += 1
        lane.version = score.version
        if known.request is not None and score.timestamp - known.request.timestamp > known.request.deadline_ms:
            lane.late += 1

    def _result(self, result: Result) -> None:
        known = self._known(result.request_id)
        if known.result is not None:
            return
        known.result = result
        self.latest = result
        self.answered += 1
        self.in_time += result.elapsed_ms <= result.sla_ms
        self.causes[result.cause] += 1
        for outcome in result.models:
            self._model(outcome.model).ignored = outcome.ignored
        if result.answer is not None:
            self._model(result.answer.model).official += 1

    def _receipt(self, receipt: Receipt) -> None:
        known = self._known(receipt.request_id)
        if not known.archived:
            known.archived = True
            self.archived += 1

    def _model_state(self, state: ModelState) -> None:
        lane = self._model(state.model)
        if state.session >= lane.session:  # a last will may come after its successor's first word
            lane.state, lane.session, lane.version = state.state, state.session, state.version or lane.version

    def _schedule(self, message: ScheduleSet) -> None:
        try:
            self.schedule = parse(message.schedule)
        except Misuse:
            self.unreadable += 1

    def _alert(self, alert: Alert) -> None:
        if alert.message_id in self._alerts_seen:
            return
        self._alerts_seen[alert.message_id] = None
        if len(self._alerts_seen) > _REMEMBERED:
            self._alerts_seen.popitem(last=False)
        self.alerts.append(alert)
        self.sightings += alert.type == "new"
