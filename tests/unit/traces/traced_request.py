"""What six components say about one request, told by hand: times in milliseconds after the request began."""

from roost_broker.clock import MS
from roost_broker.messages import (
    Answer,
    DefaultAnswer,
    Hop,
    Message,
    ModelOutcome,
    Output,
    Provenance,
    Result,
    Score,
    Span,
    Trace,
)
from roost_broker.tracing import own_trace_parent

REQUEST = "0192f0c0a0b17c3d8e4f5a6b7c8d9e0f"
BOOT, OTHER_BOOT = "b" * 32, "c" * 32
BEGAN_MS = 5_000
"""On the monotonic clock of BOOT."""
WALL_MS = 1_800_000_000_000
"""When the request began."""
_numbers = iter(range(1, 10**6))


def message_id() -> str:
    return f"{next(_numbers):032x}"


def trace(
    component: str,
    *steps: tuple[str, float, float],
    boot: str = BOOT,
    clock_ahead_ms: int = 0,
    parent: str | None = None,
    attributes: dict[str, str] | None = None,
    request_id: str = REQUEST,
    ident: str = "",
) -> Trace:
    """A trace of one component; the monotonic clock of another boot stands 1,000 s ahead, its wall clock as said."""
    offset = BEGAN_MS if boot == BOOT else BEGAN_MS + 1_000_000
    first = min(start for _, start, _ in steps)
    hop = Hop(node="coop-1", component=component, version="0.1.0", at=WALL_MS + round(first) + clock_ahead_ms)
    return Trace(
        timestamp=WALL_MS + round(steps[-1][2]),
        message_id=ident or message_id(),
        provenance=Provenance(path=[hop], trace_parent=parent or own_trace_parent(request_id)),
        request_id=request_id,
        component=component,
        boot=boot,
        spans=[
            Span(
                name=name,
                start_ns=round((offset + start) * MS),
                duration_ns=round((end - start) * MS),
                attributes=attributes or {},
            )
            for name, start, end in steps
        ],
    )


def result(*outcomes: ModelOutcome, model: str = "champion", at_ms: int = 143, default: str = "") -> Result:
    answer = None if default else Answer(model=model, version="1.2", label="blue jay", score=0.97)
    return Result(
        timestamp=WALL_MS + at_ms,
        message_id=message_id(),
        request_id=REQUEST,
        cause="default" if default else "preferred",
        answer=answer,
        default=DefaultAnswer(label=default, reason="No model answered in time.") if default else None,
        elapsed_ms=at_ms,
        sla_ms=2000,
        schedule_version="abc",
        models=list(outcomes),
    )


def score(model: str, *, at_ms: int, compute_ms: float, batch: int = 1) -> Score:
    return Score(
        timestamp=WALL_MS + at_ms,
        message_id=message_id(),
        request_id=REQUEST,
        model=model,
        version="1",
        outputs=[Output(label="hen", score=0.5)],
        compute_ms=compute_ms,
        batch=batch,
    )


def outcome(model: str, status: str, reason: str = "", *, ignored: bool = False) -> ModelOutcome:
    return ModelOutcome(model=model, version="1.2", status=status, reason=reason, ignored=ignored)  # type: ignore[arg-type]  # said in words


def whole_story() -> list[Message]:
    """The champion answers after 143 ms; `slow` goes on until 400 ms, `tired` declines, `old` is gone."""
    return [
        trace("capture-nest", ("trigger", 0, 2), ("encode", 2, 8), ("store", 8, 10), ("publish", 10, 13)),
        trace("injector", ("wait", 9, 13), ("inject", 13, 14), ("publish", 14, 15)),
        trace("model champion", ("wait", 16, 20), ("prepare", 20, 40), ("evaluate", 40, 140), ("publish", 140, 142)),
        trace("model slow", ("wait", 16, 17), ("prepare", 17, 30), ("evaluate", 30, 400), ("publish", 400, 401)),
        trace("rendezvous", ("wait", 16, 143), ("answer", 143, 144)),
        trace("rendezvous", ("late", 143, 401), attributes={"model": "slow"}),
        trace("decoy", ("wait", 16, 18), ("archive", 18, 60)),
        result(
            outcome("champion", "answered"),
            outcome("slow", "pending"),
            outcome("tired", "declined", "behind"),
            outcome("old", "gone"),
        ),
    ]
