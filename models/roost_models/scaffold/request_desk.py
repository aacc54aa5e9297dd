"""A scaffold's requests, from the input topic to the last word on each: taken, evaluated or declined, answered.

All of it runs on the event loop and none of it blocks; the policy decides, the compute thread evaluates.
"""

import asyncio
import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, SECOND, Clock, boot_id
from roost_broker.deadletter import DeadLetters
from roost_broker.diagnosis import NOTHING, Diagnosis, log_step, read, with_overrides
from roost_broker.errors import Malformed
from roost_broker.faults import RUBBISH, Fault
from roost_broker.frames import FrameStore
from roost_broker.messages import Request, Token, decode, encode
from roost_broker.refusals import Refusals
from roost_broker.topics import TaskTopics
from roost_broker.tracing import Tracer
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.inference.evaluation import Evaluator, Failure, Outcome
from roost_models.inference.warming import WarmModel
from roost_models.scaffold import replies
from roost_models.scaffold.answered import Answered
from roost_models.scaffold.marks import Marks
from roost_models.scaffold.observing import Observing
from roost_models.scaffold.outlet import Outlet, acknowledge
from roost_models.scaffold.output_tally import OutputTally
from roost_models.scaffold.partition import Partition
from roost_models.scaffold.queue_policy import (
    Action,
    Arrived,
    Decline,
    Evaluate,
    Finished,
    QueuePolicy,
    QueueSettings,
    Warmed,
)
from roost_models.scaffold.sampling import Sample
from roost_models.scaffold.settings import ScaffoldSettings
from roost_models.scaffold.step_traces import Steps, StepTraces

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A request that is neither answered nor declined yet, with every delivery of it."""

    request: Request
    saw: str
    fault: Fault | None
    diagnosis: Diagnosis = NOTHING
    deliveries: list[Delivery] = field(default_factory=list)
    steps: Steps | None = None
    """For its trace."""
    declined: str = ""


class RequestDesk:
    """See the module. Until `open` is called every request is declined `not-ready`.

    `counts`: requests, not_mine (another replica's), repeated (delivered again), answered, declined_<reason>, batches
    and batch_<size> (evaluations), skips (times it let requests go to serve newer ones), behind (1 while that is so),
    tokens, delayed (the bus was full), dead_letters, dropped (by a fault), diagnostics-refused-<what>, and the sums
    compute_us and prepare_us.
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
        faults: Fault | None,
        settings: ScaffoldSettings,
        partition: Partition = Partition(),  # noqa: B008 — frozen
        tracer: Tracer | None = None,
    ) -> None:
        self.outputs = OutputTally()
        self.counts: Counter[str] = Counter()
        self._evaluating_since: int | None = None
        self._model = model
        self._bundle = bundle
        self._frames = frames
        self._thread = thread
        self._clock = clock
        self._node = node
        self._fault = faults
        self._settings = settings
        self._policy = QueuePolicy(QueueSettings.of(bundle.manifest))
        self._partition = partition
        self.sample = Sample(topics, model, qa=settings.qa)
        self._marks = Marks()
        self.observing = Observing(thread, clock.monotonic_ns) if bundle.manifest.internal_state is not None else None
        self._answered = Answered(settings.remembered)
        self._open: dict[str, _Open] = {}
        self._outlet = Outlet(bus, topics.scores(model), self.counts)
        self._evaluator: Evaluator | None = None
        self._runtime = ""
        self._ended = False
        self._leaving = False
        self._give_up = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._letters = DeadLetters(bus, topics.deadletter, f"model {model}", clock)
        self._refusals = Refusals(bus, topics, f"model {model}", clock, self.counts)
        self._traces = StepTraces(tracer, clock, bundle.manifest.version, self.counts)

    def open(self, warm: WarmModel, past: Callable[[str], object] | None = None) -> None:
        """Begin to serve. `past`: what a model with internal state may know at a request."""
        self._runtime = warm.predictor.runtime
        self._evaluator = Evaluator(warm.predictor, self._frames, self._clock.monotonic_ns, self._give_up, past)
        self._policy.handle(Warmed(warm.costs), self._clock.monotonic_ns())

    @property
    def busy_since(self) -> int | None:
        """Since when the compute thread has been at one and the same thing, monotonic ns; None when it is free."""
        observing = None if self.observing is None else self.observing.busy_since
        return min((since for since in (self._evaluating_since, observing) if since is not None), default=None)

    def dismiss(self) -> None:
        """Decline what is open and what still comes: for a process that ends and whose session nobody will continue."""
        self._leaving = True
        if self._timer is not None:
            self._timer.cancel()
        for entry in list(self._open.values()):
            self._decline(entry, _LEAVING)

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
        if not self._leaving:  # then the policy's requests have all had their last word
            self._act(self._policy.expire(now))
        try:
            request = decode(delivery.payload)
            if isinstance(request, Token):
                self._outlet.pass_on(self._marks.arrived(delivery, self._open, now))
                self._set_timer()
                return
            if not isinstance(request, Request):
                raise Malformed(f"A {type(request).__name__} is not a request.")
        except Malformed as error:
            self.counts["dead_letters"] += 1
            self._letters.send(delivery, str(error))
            return
        if not self._partition.takes(request):
            self.counts["not_mine"] += 1
            delivery.ack()
            return
        self.counts["requests"] += 1
        if self.observing is not None:
            delivery = self.observing.take(request, delivery)
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
            self._outlet.send(payload, [delivery])
        self.counts["repeated"] += 1
        return True

    def _take(self, request: Request, delivery: Delivery, now: int) -> None:
        saw = hashlib.sha256(delivery.payload).hexdigest()
        diagnosis = self._diagnosis_of(request)
        if diagnosis.fault is not None:
            request = with_overrides(request, diagnosis.overrides(f"model {self._model}"))
        entry = _Open(request, saw, diagnosis.fault or self._fault, diagnosis, [delivery])
        entry.steps = self._traces.begin(request, now)
        self._open[request.request_id] = entry
        if self._leaving:
            self._decline(entry, _LEAVING)
            return
        if self._evaluator is None:
            self._decline(entry, Failure("not-ready", "The model is being loaded and warmed."))
            return
        if not self.sample.asks_about(request):
            self._decline(entry, Failure("not-sampled", f"The schedule asks about {self.sample.share:g} of all."))
            return
        self._act(self._policy.handle(Arrived(request.request_id, _expires(request, now)), now))

    def _diagnosis_of(self, request: Request) -> Diagnosis:
        """What the request itself asks of this model; what is not granted is counted and told."""
        if request.diagnostics is None:
            return NOTHING
        diagnosis = read(request.diagnostics, qa=self._settings.qa, component="model", model=self._model)
        self._refusals.note(diagnosis, request.request_id)
        log_step(_log, diagnosis, request.request_id, "model: taken", model=self._model)
        return diagnosis

    # -- what is done about it ----------------------------------------------------------------------------------

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Evaluate):
                self._evaluate([self._open[request_id] for request_id in action.request_ids])
            elif isinstance(action, Decline):
                self.counts["skips"] += action.reason == "behind"
                for request_id in action.request_ids:
                    self._decline(self._open[request_id], Failure(action.reason, _WHY[action.reason]))
        self.counts["behind"] = int(self._policy.behind)

    def _evaluate(self, entries: list[_Open]) -> None:
        assert self._evaluator is not None  # noqa: S101 — the policy is first asked when the model is warm
        self._evaluating_since = self._clock.monotonic_ns()
        work = partial(
            self._evaluator.evaluate, [entry.request for entry in entries], [entry.fault for entry in entries]
        )
        self._thread.call(work).add_done_callback(partial(self._evaluated, entries))

    def _evaluated(self, entries: list[_Open], done: "asyncio.Future[list[Outcome]]") -> None:
        if self._ended or self._leaving or done.cancelled():
            return
        now = self._clock.monotonic_ns()
        self._evaluating_since = None
        self._act(self._policy.expire(now))
        error, typical = done.exception(), False
        if error is not None:  # the evaluator's own defect: said aloud, and nobody is left waiting
            _log.error("evaluation failed", exc_info=error)
            for entry in entries:
                self._decline(entry, Failure("failed", f"{type(error).__name__}: {error}"))
        else:
            self.counts["batches"] += 1
            self.counts[f"batch_{len(entries)}"] += 1
            typical = all(outcome.failure is None and outcome.batch == len(entries) for outcome in done.result())
            typical = typical and all(entry.fault is None for entry in entries)
            for entry, outcome in zip(entries, done.result(), strict=True):
                self._conclude(entry, outcome)
        self._act(self._policy.handle(Finished(typical), now))
        self._set_timer()

    def _conclude(self, entry: _Open, outcome: Outcome) -> None:
        entry.steps = self._traces.evaluated(entry.steps, outcome)
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
        self.outputs.answered(message.outputs[0].label, outcome.compute_ns)
        if entry.diagnosis:
            _log_answer(self._model, entry, outcome)
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
        entry.declined = failure.reason
        self.counts["declined_" + failure.reason.replace("-", "_")] += 1
        if entry.diagnosis:
            said = {"model": self._model, "reason": failure.reason, "detail": failure.detail}
            log_step(_log, entry.diagnosis, entry.request.request_id, "model: declines", level=logging.INFO, **said)
        self._last_word(entry.request.request_id, encode(message))

    def _last_word(self, request_id: str, payload: bytes | None) -> None:
        """The last word on a request: sent, remembered, and every delivery of it acknowledged afterwards."""
        entry = self._open.pop(request_id)
        if payload is None:
            acknowledge(entry.deliveries)
        else:
            self._answered.put(request_id, payload)
            self._outlet.send(payload, entry.deliveries)
        self._traces.ended(entry.steps, entry.declined)
        self._outlet.pass_on(self._marks.closed(request_id, self._clock.monotonic_ns()))

    def send_unsent(self) -> None:
        """Try again what the bus had no room for."""
        self._outlet.send_unsent()

    def _set_timer(self) -> None:
        """Wake when the policy has something to expire, or a token has waited long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [moment for moment in (self._policy.deadline(), self._marks.deadline()) if moment is not None]
        if due and not self._ended and not self._leaving:
            delay = max(0, min(due) - self._clock.monotonic_ns()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._clock.monotonic_ns()
        self._act(self._policy.expire(now))
        self._outlet.pass_on(self._marks.due(now))
        self._set_timer()


def _log_answer(model: str, entry: _Open, outcome: Outcome) -> None:
    best = outcome.outputs[0] if outcome.outputs else None
    said = {"label": best.label, "score": best.score} if best is not None else {}
    fields = {"model": model, **said, "prepareMs": outcome.prepare_ns / MS, "computeMs": outcome.compute_ns / MS}
    log_step(_log, entry.diagnosis, entry.request.request_id, "model: answers", level=logging.INFO, **fields)


_LEAVING = Failure("not-ready", "This replica ends.")
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
