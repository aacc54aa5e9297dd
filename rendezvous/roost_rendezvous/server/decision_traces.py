"""What the rendezvous tells of traced requests: how long it waited, what it decided, and who came late."""

from collections import Counter, OrderedDict

from roost_broker.clock import Clock
from roost_broker.messages import Request
from roost_broker.tracing import Tracer, span
from roost_rendezvous.mailbox.actions import Answer, Kind, Noted
from roost_rendezvous.server.results import Asked

_REMEMBERED = 5_000
"""Traced requests kept in mind from arrival to the last late word; the oldest give way."""
_LATE = (Kind.LATE_SCORE, Kind.LATE_DECLINE)


class DecisionTraces:
    """Without a tracer it does nothing, at the price of one comparison."""

    def __init__(self, tracer: Tracer | None, clock: Clock, counts: Counter[str]) -> None:
        if tracer is not None:
            tracer.counts = counts
        self._tracer = tracer
        self._clock = clock
        self._arrived: OrderedDict[str, int] = OrderedDict()
        self._decided: OrderedDict[str, tuple[int, str | None]] = OrderedDict()

    def arrived(self, request: Request, now: int) -> None:
        """A request, perhaps for the second time: the first counts."""
        if self._tracer is None or not self._tracer.wants(request.request_id, request.diagnostics):
            return
        if request.request_id not in self._decided:
            self._arrived.setdefault(request.request_id, now)
        if len(self._arrived) > _REMEMBERED:
            self._arrived.popitem(last=False)

    def answered(self, answer: Answer, asked: Asked, decided: int) -> None:
        """The answer is with the bus: tell of the wait that ended at `decided`, and of the answering."""
        arrived = self._arrived.pop(answer.request_id, None)
        if self._tracer is None or arrived is None:
            return
        request = asked.request
        said = {"cause": answer.cause, "label": answer.label, "reason": answer.reason}
        if answer.chosen is not None:
            said |= {"model": answer.chosen.model, "version": answer.chosen.version}
        said["schedule"] = answer.schedule_version
        told = [span("wait", arrived, decided, said), span("answer", decided, self._clock.monotonic_ns())]
        self._tracer.publish(request, told)
        self._decided[answer.request_id] = decided, request.provenance.trace_parent
        if len(self._decided) > _REMEMBERED:
            self._decided.popitem(last=False)

    def noted(self, noted: Noted) -> None:
        """A word after the answer."""
        known = self._decided.get(noted.request_id) if noted.kind in _LATE else None
        if self._tracer is None or known is None:
            return
        decided, trace_parent = known
        late = span("late", decided, self._clock.monotonic_ns(), {"model": noted.model})
        self._tracer.tell(noted.request_id, trace_parent, [late])
