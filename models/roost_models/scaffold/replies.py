"""A model's words: a score or a decline, made from the request it answers."""

from roost_broker.clock import MS, Clock
from roost_broker.ids import new_id
from roost_broker.messages import Declined, Hop, Output, Provenance, Request, Score
from roost_models.bundle.folder import Bundle
from roost_models.inference.evaluation import Reason

_HOPS = 32


def score(
    request: Request,
    outputs: list[Output],
    *,
    model: str,
    bundle: Bundle,
    runtime: str,
    saw: str,
    compute_ns: int,
    batch: int,
    clock: Clock,
    node: str,
) -> Score:
    """An answer. `compute_ns` is the evaluation alone, of the whole batch."""
    wall = clock.wall_ns()
    return Score(
        timestamp=wall // MS,
        message_id=new_id(wall),
        provenance=_provenance(request, model, bundle, wall, node),
        request_id=request.request_id,
        model=model,
        version=bundle.manifest.version,
        outputs=outputs,
        compute_ms=round(compute_ns / MS, 3),
        batch=batch,
        bundle=bundle.digest,
        runtime=runtime,
        saw=saw,
    )


def declined(
    request: Request,
    reason: Reason,
    detail: str,
    *,
    model: str,
    bundle: Bundle,
    saw: str,
    clock: Clock,
    node: str,
) -> Declined:
    """A refusal, so that nobody waits."""
    wall = clock.wall_ns()
    return Declined(
        timestamp=wall // MS,
        message_id=new_id(wall),
        provenance=_provenance(request, model, bundle, wall, node),
        request_id=request.request_id,
        model=model,
        version=bundle.manifest.version,
        reason=reason,
        detail=clean(detail),
        saw=saw,
    )


def clean(text: str) -> str:
    """Text that fits a message, whatever an author's exception said."""
    return text.encode("utf-8", "replace").decode("utf-8")[:1000]


def _provenance(request: Request, model: str, bundle: Bundle, wall: int, node: str) -> Provenance:
    """The request's path with this model at its end, under the bundle's own version."""
    hop = Hop(node=node, component=f"model {model}", version=bundle.manifest.version, at=wall // MS)
    path = [*request.provenance.path, hop][-_HOPS:]
    asked = request.provenance
    return Provenance(path=path, trace_parent=asked.trace_parent, overrides=asked.overrides)
