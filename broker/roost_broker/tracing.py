"""Traces: what one component did for one request, step by step, published after the work (the book's ch. 7).

Each component has a `Tracer`. It asks `wants` for each request (that is all an untraced request costs), notes its own
steps as spans of the monotonic clock, and gives them to `publish` when the work is done: nothing waits for a trace.

Which requests are traced: a share of all, chosen by a hash of the request id, so that every component chooses the same
ones without asking anybody; and those that ask for it (`diagnostics.trace`) where the settings say QA. Elsewhere such
a wish is refused, and counted by whoever reads the diagnostics (`refusals`).

Traces travel with QoS 0: what is lost of them is missing in a picture, and they must never take the place of a result
in the window of unacknowledged messages.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from roost_broker.bus import Bus
from roost_broker.clock import MS, Clock, boot_id
from roost_broker.errors import Malformed, Misuse, QueueFull
from roost_broker.ids import new_id
from roost_broker.messages import Diagnostics, Hop, Provenance, Request, Span, Trace, encode
from roost_broker.topics import TaskTopics
from roost_broker.version import VERSION

MAX_SPANS = 64
_MAX_TEXT = 200
_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")


class TraceParent(NamedTuple):
    """The ids of a W3C `traceparent` (Trace Context, level 1)."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits: the span that asked."""


def read_trace_parent(text: str | None) -> TraceParent | None:
    """The ids, or None for what is no `traceparent` of version 00 (all zeros are none either)."""
    found = _TRACE_PARENT.match(text or "")
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return TraceParent(found[1], found[2])


def own_trace_parent(request_id: str) -> str:
    """The `traceparent` of a request that nobody outside began: its id is the trace's, its second half the root's."""
    return f"00-{request_id}-{request_id[16:]}-01"


def span(name: str, start_ns: int, end_ns: int, attributes: dict[str, str] | None = None) -> Span:
    """One step, from and to by the monotonic clock. What ends before it began lasted no time."""
    kept = {key: text[:_MAX_TEXT] for key, text in attributes.items() if text} if attributes else {}
    return Span(name=name, start_ns=max(0, start_ns), duration_ns=max(0, end_ns - start_ns), attributes=kept)


class Tracer:
    """Traces of one component of one task.

    `counts` (a role puts its own there) gets `traces` and `traces-dropped` (no broker, a full bus, a trace too large).

    `share` is from 0 to 1; `on_demand` says that a request may ask for its trace (QA). `boot` is for simulations alone.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        component: str,
        clock: Clock,
        *,
        node: str,
        share: float,
        on_demand: bool,
        boot: str = "",
    ) -> None:
        if not 0 <= share <= 1:
            raise Misuse(f"A share of {share} cannot be traced.", "Use a number from 0 (none) to 1 (all).")
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._topic = topics.traces
        self._component = component
        self._clock = clock
        self._node = node
        self._limit = round(share * 2**32)
        self._on_demand = on_demand
        self._boot = boot or boot_id()

    def wants(self, request_id: str, diagnostics: Diagnostics | None) -> bool:
        """Whether this request is traced. The same answer in every component with the same settings.

        A checksum and no cryptographic hash: it is asked for every request, and nobody gains by choosing ids.
        """
        if self._limit and crc32(request_id.encode()) < self._limit:
            return True
        return self._on_demand and diagnostics is not None and diagnostics.trace

    def publish(self, request: Request, spans: Sequence[Span]) -> None:
        """Tell what was done for `request`. Never raises for the bus's sake; without spans nothing is told."""
        self.tell(request.request_id, request.provenance.trace_parent, spans)

    def tell(self, request_id: str, trace_parent: str | None, spans: Sequence[Span]) -> None:
        """The same, for who no longer has the request."""
        if not spans:
            return
        if not self._bus.connected:  # what waits for the broker's return is for what must not be lost
            self.counts["traces-dropped"] += 1
            return
        kept = list(spans[:MAX_SPANS])
        wall, now = self._clock.wall_ns(), self._clock.monotonic_ns()
        # `at` is when the first step began, by the wall clock: that is how traces of several boots are put together.
        began = wall - max(0, now - min(one.start_ns for one in kept))
        hop = Hop(node=self._node, component=self._component, version=VERSION, at=max(0, began) // MS)
        trace = Trace(
            timestamp=wall // MS,
            message_id=new_id(wall),
            provenance=Provenance(path=[hop], trace_parent=trace_parent),
            request_id=request_id,
            component=self._component,
            boot=self._boot,
            spans=kept,
        )
        try:
            self._bus.publish(self._topic, encode(trace), qos=0)
        except (QueueFull, Malformed, Misuse):  # full, too large, or the bus is being stopped: work goes before telling
            self.counts["traces-dropped"] += 1
        else:
            self.counts["traces"] += 1
