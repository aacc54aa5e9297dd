"""A scaffold's requests, from the input topic to the last word on each: taken, evaluated or declined, answered.

All of it runs on the event loop and none of it blocks; the policy decides, the compute thread evaluates.
"""

import asyncio
import contextlib
import hashlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, SECOND, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, Misuse, QueueFull
from roost_broker.frames import FrameStore
from roost_broker.messages import Request, decode, encode
from roost_broker.topics import TaskTopics
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.inference.evaluation import Evaluator, Failure, Outcome
from roost_models.inference.predictor import Predictor
from roost_models.scaffold import replies
from roost_models.scaffold.answered import Answered
from roost_models.scaffold.faults import RUBBISH, Faults
from roost_models.scaffold.queue_policy import Action, Arrived, Decline, Evaluate, Finished, QueuePolicy, QueueSettings
from roost_models.scaffold.settings import ScaffoldSettings

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A request that is neither answered nor declined yet, with every delivery of it."""

    request: Request
    saw: str
    fault: Faults | None
    deliveries: list[Delivery] = field(default_factory=list)


class RequestDesk:
    """See the module. Until `open` is called every request is declined `not-ready`.

    `counts`: requests, repeated (delivered again), answered, declined_<reason>, batches, delayed (the bus was full),
    dead_letters, dropped (by a fault), faults_refused, faults_unknown, and the sums compute_us and prepare_us.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        model: str,
        bundle: Bundle,
        frames: FrameStore,
        thread: Worker,
        *,
        clock: Clock,
        node: str,
        faults: Faults | None,
        settings: ScaffoldSettings,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.busy_since: int | None = None
        """When the evaluation under way began, monotonic ns."""
        self._bus = bus
        self._topics = topics
        self._model = model
        self._bundle = bundle
        self._frames = frames
        self._thread = thread
        self._clock = clock
        self._node = node
        self._fault = faults
        self._settings = settings
        self._policy = QueuePolicy(QueueSettings.of(bundle.manifest))
        self._answered = Answered(settings.remembered)
        self._open: dict[str, _Open] = {}
        self._unsent: deque[tuple[bytes, list[Delivery]]] = deque()  # no longer than the bus's receive maximum
        self._evaluator: Evaluator | None = None
        self._runtime = ""
        self._ended = False
        self._give_up = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._letters = DeadLetters(bus, topics.deadletter, f"model {model}", clock)

    def open(self, predictor: Predictor) -> None:
        """Begin to serve."""
        self._runtime = predictor.runtime
        self._evaluator = Evaluator(predictor, self._frames, self._clock.monotonic_ns, self._give_up)

    def close(self) -> None:
        """Say nothing more. What is open stays unacknowledged and is delivered again to the next process."""
        self._ended = True
        self._give_up.set()
        if self._timer is not None:
            self._timer.cancel()

    # -- what comes in ------------------------------------------------------------------------------------------

    def on_input(self, delivery: Delivery) -> None:
        """The bus's handler for the input topic."""
        if self._ended:
            return
        now = self._clock.monotonic_ns()
        self._act(self._policy.expire(now))
        try:
            request = decode(delivery.payload)
            if not isinstance(request, Request):
                raise Malformed(f"A {type(request).__name__} is not a request.")
        except Malformed as error:
            self.counts["dead_letters"] += 1
            self._letters.send(delivery, str(error))
            return
        self.counts["requests"] += 1
        if not self._repeated(request.request_id, delivery):
            self._take(request, delivery, now)
        self._set_timer()

    def _repeated(self, request_id: str, delivery: Delivery) -> bool:
        """Deal with a request that is being worked on, or was answered lately."""
        known = self._open.get(request_id)
        if known is not None:
            known.deliveries.append(delivery)
        else:
            payload = self._answered.get(request_id)
            if payload is None:
                return False
            self._publish(payload, [delivery])
        self.counts["repeated"] += 1
        return True

    def _take(self, request: Request, delivery: Delivery, now: int) -> None:
        saw = hashlib.sha256(delivery.payload).hexdigest()
        entry = _Open(request, saw, self._fault_of(request), [delivery])
        self._open[request.request_id] = entry
        if self._evaluator is None:
            self._decline(entry, Failure("not-ready", "The model is being loaded and warmed."))
            return
        self._act(self._policy.handle(Arrived(request.request_id, _expires(request, now)), now))

    def _fault_of(self, request: Request) -> Faults | None:
        """The fault this scaffold was started with, or one the request asks for where that is allowed."""
        asked = [] if request.diagnostics is None else request.diagnostics.faults
        for fault in asked:
            if fault.get("model") != self._model:
                continue
            if not self._settings.qa:
                self.counts["faults_refused"] += 1
                continue
            with contextlib.suppress(Misuse):
                return Faults.parse(str(fault.get("fault", "")))
            self.counts["faults_unknown"] += 1
        return self._fault

    # -- what is done about it ----------------------------------------------------------------------------------

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Evaluate):
                self._evaluate([self._open[request_id] for request_id in action.request_ids])
            elif isinstance(action, Decline):
                for request_id in action.request_ids:
                    self._decline(self._open[request_id], Failure(action.reason, _WHY[action.reason]))

    def _evaluate(self, entries: list[_Open]) -> None:
        assert self._evaluator is not None  # noqa: S101 — the policy is first asked when the model is warm
        self.busy_since = self._clock.monotonic_ns()
        work = partial(
            self._evaluator.evaluate, [entry.request for entry in entries], [entry.fault for entry in entries]
        )
        self._thread.call(work).add_done_callback(partial(self._evaluated, entries))

    def _evaluated(self, entries: list[_Open], done: "asyncio.Future[list[Outcome]]") -> None:
        if self._ended or done.cancelled():
            return
        now = self._clock.monotonic_ns()
        self.busy_since = None
        self._act(self._policy.expire(now))
        error = done.exception()
        if error is not None:  # the evaluator's own defect: said aloud, and nobody is left waiting
            _log.error("evaluation failed", exc_info=error)
            for entry in entries:
                self._decline(entry, Failure("failed", f"{type(error).__name__}: {error}"))
        else:
            self.counts["batches"] += 1
            for entry, outcome in zip(entries, done.result(), strict=True):
                self._conclude(entry, outcome)
        self._act(self._policy.handle(Finished(), now))
        self._set_timer()

    def _conclude(self, entry: _Open, outcome: Outcome) -> None:
        self.counts["prepare_us"] += outcome.prepare_ns // 1000
        self.counts["compute_us"] += outcome.compute_ns // (1000 * outcome.batch)
        if entry.fault is not None and entry.fault.kind == "drop":
            self.counts["dropped"] += 1
            self._last_word(entry.request.request_id, None)
        elif entry.fault is not None and entry.fault.kind == "wrong":
            self._last_word(entry.request.request_id, RUBBISH)
        elif outcome.failure is not None or outcome.outputs is None:
            self._decline(entry, outcome.failure or Failure("failed", "The model gave nothing."))
        else:
            self._answer(entry, outcome)

    def _answer(self, entry: _Open, outcome: Outcome) -> None:
        message = replies.score(
            entry.request,
            outcome.outputs or [],
            model=self._model,
            bundle=self._bundle,
            runtime=self._runtime,
            saw=entry.saw,
            compute_ns=outcome.compute_ns,
            batch=outcome.batch,
            clock=self._clock,
            node=self._node,
        )
        try:
            payload = encode(message)
        except Malformed as error:
            self._decline(entry, Failure("failed", f"The score is too large: {error}"))
            return
        self.counts["answered"] += 1
        self._last_word(entry.request.request_id, payload)

    def _decline(self, entry: _Open, failure: Failure) -> None:
        message = replies.declined(
            entry.request,
            failure.reason,
            failure.detail,
            model=self._model,
            bundle=self._bundle,
            saw=entry.saw,
            clock=self._clock,
            node=self._node,
        )
        self.counts["declined_" + failure.reason.replace("-", "_")] += 1
        self._last_word(entry.request.request_id, encode(message))

    def _last_word(self, request_id: str, payload: bytes | None) -> None:
        """The last word on a request: sent, remembered, and every delivery of it acknowledged afterwards."""
        entry = self._open.pop(request_id)
        if payload is None:
            _acknowledge(entry.deliveries)
            return
        self._answered.put(request_id, payload)
        self._publish(payload, entry.deliveries)

    def _publish(self, payload: bytes, deliveries: list[Delivery]) -> None:
        try:
            done = self._bus.publish(self._topics.scores(self._model), payload)
        except QueueFull:
            self.counts["delayed"] += 1
            self._unsent.append((payload, deliveries))
            return
        done.add_done_callback(partial(_acknowledge_when_arrived, deliveries))

    def send_unsent(self) -> None:
        """Try again what the bus had no room for."""
        for _ in range(len(self._unsent)):
            self._publish(*self._unsent.popleft())

    def _set_timer(self) -> None:
        """Wake when the policy has something to expire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._policy.deadline()
        if deadline is not None and not self._ended:
            delay = max(0, deadline - self._clock.monotonic_ns()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._act(self._policy.expire(self._clock.monotonic_ns()))
        self._set_timer()


_WHY = {
    "behind": "The model is behind and serves newer requests.",
    "expired": "The request's time was over before the model could begin.",
}


def _expires(request: Request, now: int) -> int:
    """The monotonic moment after which nobody wants an answer: from issue on the same boot, else from arrival."""
    begun = now
    if request.issued is not None and request.issued.boot == boot_id():
        begun = min(now, request.issued.monotonic_ns)
    return begun + request.deadline_ms * MS


def _acknowledge(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        delivery.ack()


def _acknowledge_when_arrived(deliveries: list[Delivery], done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and done.exception() is None:
        _acknowledge(deliveries)
