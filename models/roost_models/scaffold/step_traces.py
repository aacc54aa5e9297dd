"""What a scaffold tells of traced requests: waiting, preparing, evaluating, publishing, or why it declined."""

from collections import Counter
from typing import NamedTuple

from roost_broker.clock import Clock
from roost_broker.messages import Request, Span
from roost_broker.tracing import Tracer, span
from roost_models.inference.evaluation import Outcome


class Steps(NamedTuple):
    """A traced request's steps so far; times are monotonic."""

    request: Request
    arrived_ns: int
    done: tuple[Span, ...] = ()


class StepTraces:
    """Without a tracer it does nothing, at the price of one comparison."""

    def __init__(self, tracer: Tracer | None, clock: Clock, version: str, counts: Counter[str]) -> None:
        if tracer is not None:
            tracer.counts = counts
        self._tracer = tracer
        self._clock = clock
        self._version = version

    def begin(self, request: Request, now: int) -> Steps | None:
        """A request has come; None when it is not traced."""
        if self._tracer is None or not self._tracer.wants(request.request_id, request.diagnostics):
            return None
        return Steps(request, now)

    def evaluated(self, steps: Steps | None, outcome: Outcome) -> Steps | None:
        """The compute thread is done with it."""
        if steps is None:
            return None
        read = outcome.began_ns + outcome.prepare_ns
        done = [span("wait", steps.arrived_ns, outcome.began_ns), span("prepare", outcome.began_ns, read)]
        if outcome.computing_ns:
            ended = outcome.computing_ns + outcome.compute_ns
            done.append(span("evaluate", outcome.computing_ns, ended, {"batch": str(outcome.batch)}))
        return steps._replace(done=tuple(done))

    def ended(self, steps: Steps | None, declined: str = "") -> None:
        """The last word is with the bus (or there will be none): tell. `declined` says why there is no answer."""
        if self._tracer is None or steps is None:
            return
        now = self._clock.monotonic_ns()
        said = {"version": self._version, "declined": declined}
        if steps.done:
            last = steps.done[-1]
            publish = span("publish", last.start_ns + last.duration_ns, now, said)
            self._tracer.publish(steps.request, (*steps.done, publish))
        else:
            self._tracer.publish(steps.request, [span("wait", steps.arrived_ns, now, said)])
