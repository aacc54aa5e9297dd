"""One model called directly, no broker in between, the same messages (promise V17): the first stage of adoption."""

import hashlib
from dataclasses import dataclass
from typing import Any

from roost_broker.clock import MS, Clock
from roost_broker.headers import new_header
from roost_broker.messages import Answer, FrameRef, Input, ModelOutcome, Request, Result, Score, encode
from roost_models.bundle.folder import Bundle
from roost_models.inference import images
from roost_models.inference.predictor import ModelInput, Predictor, PythonPredictor, Unusable, load_predictor
from roost_models.internal_state.keeper import InternalState, PastUnknown
from roost_models.scaffold import replies

_DEADLINE_MS = 60_000
_COMPONENT = "decide"


@dataclass(frozen=True, slots=True)
class Decision:
    """What would have travelled over the broker, and the official outcome."""

    request: Request
    score: Score
    result: Result


def decide(
    image: bytes,
    bundle: Bundle,
    *,
    clock: Clock,
    node: str,
    labels_top: int = 3,
    name: str = "",
    predictor: Predictor | None = None,
) -> Decision:
    """Ask a bundle about one picture (bytes of a file; `name` is shown in the request).

    Raises `BadImage`, `Misuse` (wrong environment), `Malformed`, and `Unusable`. `predictor` saves loading
    when many pictures are asked about. The result shows the best `labels_top`, the score all. A model that remembers
    answers as if this were its first request.
    """
    ready = predictor or load_predictor(bundle)
    started = clock.monotonic_ns()
    rgb = images.decode(image)
    height, width = rgb.shape[:2]
    request = _request(image, width, height, name, clock, node)
    item = ModelInput(image=ready.preprocess(rgb), at_ms=request.timestamp, past=_past(bundle, ready, request))
    computing = clock.monotonic_ns()
    outputs = ready.predict([item])[0]
    done = clock.monotonic_ns()
    model = bundle.manifest.name
    score = replies.score(
        request,
        outputs,
        model=model,
        bundle=bundle,
        runtime=ready.runtime,
        saw=hashlib.sha256(encode(request)).hexdigest(),
        compute_ns=done - computing,
        batch=1,
        clock=clock,
        node=node,
    )
    elapsed_ms = round((done - started) / MS, 3)
    return Decision(request, score, _result(request, score, elapsed_ms, labels_top, clock, node))


def _past(bundle: Bundle, predictor: Predictor, request: Request) -> Any:
    if bundle.manifest.internal_state is None or not isinstance(predictor, PythonPredictor):
        return None
    state = InternalState(predictor.model, bundle.digest)
    state.observe(request)
    try:
        return state.past(request.request_id)
    except PastUnknown as error:
        raise Unusable(bundle.manifest, f"cannot answer: {error}") from error


def _request(image: bytes, width: int, height: int, name: str, clock: Clock, node: str) -> Request:
    head = new_header(clock, node, _COMPONENT)
    sha256 = hashlib.sha256(image).hexdigest()
    return Request(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        request_id=head.message_id,
        return_address=_COMPONENT,
        deadline_ms=_DEADLINE_MS,
        input=Input(
            frame=FrameRef(sha256=sha256, bytes=len(image), path=name[:1000] or sha256, width=width, height=height)
        ),
    )


def _result(request: Request, score: Score, elapsed_ms: float, top: int, clock: Clock, node: str) -> Result:
    head = new_header(clock, node, _COMPONENT)
    best = score.outputs[0]
    return Result(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        request_id=request.request_id,
        cause="preferred",
        answer=Answer(
            model=score.model,
            version=score.version,
            label=best.label,
            score=best.score,
            outputs=score.outputs[: max(1, top)],
        ),
        elapsed_ms=elapsed_ms,
        sla_ms=request.deadline_ms,
        models=[
            ModelOutcome(
                model=score.model,
                version=score.version,
                status="answered",
                elapsed_ms=elapsed_ms,
                label=best.label,
                score=best.score,
            )
        ],
        input=request.input,
    )
