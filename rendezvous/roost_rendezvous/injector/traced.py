"""What the injector tells of traced requests: how long they waited for it, and what it took."""

from collections import Counter
from typing import NamedTuple

from roost_broker.clock import Clock, boot_id
from roost_broker.messages import Request
from roost_broker.tracing import Tracer, own_trace_parent, span


class Traced(NamedTuple):
    """A traced request on its way through; times are monotonic."""

    request: Request
    arrived_ns: int
    injected_ns: int


class InjectorTraces:
    """Without a tracer it does nothing, at the price of one comparison."""

    def __init__(self, tracer: Tracer | None, clock: Clock, counts: Counter[str]) -> None:
        if tracer is not None:
            tracer.counts = counts
        self._tracer = tracer
        self._clock = clock

    def begin(self, request: Request) -> int | None:
        """The moment of arrival when the request is traced."""
        if self._tracer is None or not self._tracer.wants(request.request_id, request.diagnostics):
            return None
        return self._clock.monotonic_ns()

    def parent(self, request: Request, arrived_ns: int | None) -> str:
        """What to add as `traceParent`: nothing when the request brings one, or is not traced."""
        if arrived_ns is None or request.provenance.trace_parent:
            return ""
        return own_trace_parent(request.request_id)

    def injected(self, request: Request, arrived_ns: int | None) -> Traced | None:
        """The state is in; now for the broker."""
        return None if arrived_ns is None else Traced(request, arrived_ns, self._clock.monotonic_ns())

    def published(self, traced: Traced | None) -> None:
        """The broker has it: tell."""
        if self._tracer is None or traced is None:
            return
        request, arrived, injected = traced
        issued = request.issued
        waited = issued is not None and issued.boot == boot_id() and issued.monotonic_ns <= arrived
        told = [span("wait", issued.monotonic_ns, arrived)] if waited and issued is not None else []
        told += [span("inject", arrived, injected), span("publish", injected, self._clock.monotonic_ns())]
        self._tracer.publish(request, told)
