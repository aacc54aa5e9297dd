"""The messages of one request knit into one picture: what was done when, who answered, who ran on. Pure.

Processes of one boot share the monotonic clock, so their spans lie side by side exactly, whatever the wall clock does.
Spans of another boot (another device, a restart in between) are placed by the wall clock and marked so: between two
clocks nothing is exact.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roost_broker.clock import MS
from roost_broker.messages import Declined, Message, ModelOutcome, Result, Score, Trace

WAITS = frozenset({"wait", "late"})
"""Steps in which a component does nothing but wait."""
COMPUTES = frozenset({"prepare", "evaluate"})
"""Steps of a model that cost computing time."""
_RANK = {"capture": 0, "injector": 1, "rendezvous": 2, "model": 3, "decoy": 4}
_MODEL = "model "
_DECISION = "wait"
_LONGEST_NS = 86_400 * 1_000 * MS
"""A day. What is said to have run on for longer is somebody's invention, and no counter could take the sum."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step. Times are nanoseconds since the request's trace begins."""

    component: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    node: str = ""
    version: str = ""
    by_wall: bool = False
    """Of another boot, so placed by the wall clock."""

    @property
    def model(self) -> str:
        """The model whose step it is, or empty."""
        return model_of(self.component)


@dataclass(frozen=True, slots=True)
class Part:
    """What one model did for the request."""

    model: str
    version: str = ""
    status: str = ""
    """When the answer was given: answered, declined, pending or gone; empty when nobody said."""
    reason: str = ""
    declined: str = ""
    """Why it declined, by its own trace; perhaps after the answer."""
    official: bool = False
    ignored: bool = False
    ran_on_ns: int = 0
    """How long it went on computing after the answer."""
    batch: int = 1
    """How many requests were evaluated together while it ran on."""
    estimated: bool = False
    """The model told no trace; `ran_on_ns` is taken from its late score and the wall clock."""


@dataclass(frozen=True, slots=True)
class Knit:
    """A whole trace."""

    request_id: str
    began_wall_ns: int
    bars: tuple[Bar, ...]
    """By component (in the order of the flow), then by time."""
    parts: tuple[Part, ...]
    answered_ns: int | None
    """The moment of the official answer; None when nobody told."""
    result: Result | None = None
    trace_parent: str | None = None

    @property
    def length_ns(self) -> int:
        """From the first step to the end of the last one, and at least to the answer."""
        return max([bar.end_ns for bar in self.bars] + [self.answered_ns or 0], default=0)


def model_of(component: str) -> str:
    """`champion` of `model champion`; empty for what is no model."""
    return component[len(_MODEL) :] if component.startswith(_MODEL) else ""


def knit(request_id: str, messages: Iterable[Message]) -> Knit:
    """Put together what was said about one request; messages about others are left out. Order does not matter."""
    said = [one for one in messages if getattr(one, "request_id", "") == request_id]
    traces = sorted((one for one in said if isinstance(one, Trace)), key=lambda one: (one.timestamp, one.message_id))
    result = next((one for one in said if isinstance(one, Result)), None)
    words = {one.model: one for one in said if isinstance(one, Score | Declined)}
    home = _home(traces)
    placed = [(trace, _place(trace, home)) for trace in traces]
    began = min((start for trace, offset in placed for start in _starts(trace, offset)), default=0)
    bars = sorted((bar for trace, offset in placed for bar in _bars(trace, offset - began, home.boot)), key=_in_order)
    wall = home.wall_offset + began if traces else (result.timestamp * MS if result else 0)
    answered = _answered(bars, result, wall)
    return Knit(
        request_id=request_id,
        began_wall_ns=wall,
        bars=_by_component(bars),
        parts=tuple(_parts(bars, answered, result, words)),
        answered_ns=answered,
        result=result,
        trace_parent=next((t.provenance.trace_parent for t in traces if t.provenance.trace_parent), None),
    )


def ran_on(whole: Knit) -> dict[str, int]:
    """Nanoseconds of computing after the answer, by model; a request's share where several were evaluated together."""
    shares = {part.model: part.ran_on_ns // part.batch for part in whole.parts}
    return {model: min(ns, _LONGEST_NS) for model, ns in shares.items() if ns}


# -- one time axis ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Home:
    """The boot on whose clock everything is placed: the one that decided, else the one that told most."""

    boot: str
    wall_offset: int
    """Wall clock minus monotonic clock there."""


def _home(traces: list[Trace]) -> _Home:
    if not traces:
        return _Home("", 0)
    told = [one.boot for one in traces]
    deciding = [one for one in traces if one.component == "rendezvous"]
    boot = deciding[0].boot if deciding else max(told, key=told.count)
    return _Home(boot, _wall_offset(next(one for one in traces if one.boot == boot)))


def _wall_offset(trace: Trace) -> int:
    """The tracer's hop says when the first step began by the wall clock (see `roost_broker.tracing`)."""
    path = trace.provenance.path
    wall = path[-1].at if path else trace.timestamp
    return wall * MS - min(span.start_ns for span in trace.spans)


def _place(trace: Trace, home: _Home) -> int:
    """What to add to the trace's readings to have them on the home clock."""
    return 0 if trace.boot == home.boot else _wall_offset(trace) - home.wall_offset


def _starts(trace: Trace, offset: int) -> list[int]:
    return [span.start_ns + offset for span in trace.spans]


def _bars(trace: Trace, shift: int, home: str) -> list[Bar]:
    hop = trace.provenance.path[-1] if trace.provenance.path else None
    return [
        Bar(
            trace.component,
            span.name,
            span.start_ns + shift,
            span.start_ns + shift + span.duration_ns,
            span.attributes,
            node=hop.node if hop else "",
            version=hop.version if hop else "",
            by_wall=trace.boot != home,
        )
        for span in trace.spans
    ]


def _in_order(bar: Bar) -> tuple[int, int]:
    return (bar.start_ns, bar.end_ns)


def _by_component(bars: list[Bar]) -> tuple[Bar, ...]:
    """Components in the order of the flow; models by the end of their work, so that the quickest comes first."""
    ends: dict[str, int] = {}
    for bar in bars:
        ends[bar.component] = max(ends.get(bar.component, 0), bar.end_ns)

    def place(bar: Bar) -> tuple[int, int, str]:
        kind = bar.component.replace("-", " ").split(" ", 1)[0]
        return _RANK.get(kind, len(_RANK)), ends[bar.component] if bar.model else 0, bar.component

    return tuple(sorted(bars, key=place))  # stable, so by time within a component


# -- who did what ----------------------------------------------------------------------------------------------------


def _answered(bars: list[Bar], result: Result | None, wall: int) -> int | None:
    """The end of the rendezvous' first wait; without its trace, the result's own time stamp."""
    waits = [bar.end_ns for bar in bars if bar.component == "rendezvous" and bar.name == _DECISION]
    if waits:
        return min(waits)
    return max(0, result.timestamp * MS - wall) if result is not None else None


def _parts(
    bars: list[Bar], answered: int | None, result: Result | None, words: Mapping[str, Score | Declined]
) -> Iterable[Part]:
    outcomes = {one.model: one for one in result.models} if result is not None else {}
    work: dict[str, list[Bar]] = {}
    versions: dict[str, str] = {}
    for bar in bars:
        if bar.model:
            versions[bar.model] = bar.attributes.get("version", "") or versions.get(bar.model, "")
            work.setdefault(bar.model, []).append(bar)
    official = result.answer.model if result is not None and result.answer is not None else ""
    for model in dict.fromkeys([*work, *outcomes, *words]):
        outcome, word = outcomes.get(model, ModelOutcome(model=model, status="pending")), words.get(model)
        on_ns, batch = _ran_on(work.get(model, []), answered)
        estimated = model not in work and outcome.status == "pending"
        if estimated:
            on_ns, batch = _estimate(word, result)
        yield Part(
            model=model,
            version=outcome.version or (word.version if word is not None else "") or versions.get(model, ""),
            status=outcome.status if model in outcomes else "",
            reason=outcome.reason,
            declined=next((text for bar in work.get(model, ()) if (text := bar.attributes.get("declined", ""))), ""),
            official=model == official,
            ignored=outcome.ignored,
            ran_on_ns=on_ns,
            batch=batch,
            estimated=estimated and on_ns > 0,
        )


def _ran_on(bars: list[Bar], answered: int | None) -> tuple[int, int]:
    """Work after the answer, and how many requests it was for."""
    if answered is None:
        return 0, 1
    late = [bar for bar in bars if bar.name in COMPUTES and bar.end_ns > answered]
    batch = max((int(bar.attributes.get("batch", "1") or 1) for bar in late if _is_number(bar)), default=1)
    return sum(bar.end_ns - max(bar.start_ns, answered) for bar in late), max(1, batch)


def _is_number(bar: Bar) -> bool:
    text = bar.attributes.get("batch", "1")
    return text.isascii() and text.isdigit() and len(text) < 9


def _estimate(word: Score | Declined | None, result: Result | None) -> tuple[int, int]:
    """From a late score and the wall clock: no longer than the evaluation, nor than the time since the answer."""
    if not isinstance(word, Score) or result is None:
        return 0, 1
    since_ms = max(0, word.timestamp - result.timestamp)
    return round(min(word.compute_ms, since_ms) * MS), word.batch
