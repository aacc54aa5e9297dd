"""An answer of the core made into the message that goes to the return address. Pure."""

import msgspec
from msgspec import Struct, structs

from roost_broker import messages
from roost_broker.clock import Clock
from roost_broker.diagnosis import MAX_OVERRIDES, NOTHING, Diagnosis
from roost_broker.errors import Malformed
from roost_broker.headers import add_hop
from roost_broker.ids import new_id
from roost_broker.messages import DefaultAnswer, Hop, Input, Output, Provenance, Request, Result, Score
from roost_rendezvous.mailbox.actions import Answer
from roost_rendezvous.mailbox.quorum import Ballot

COMPONENT = "rendezvous"
_FEW = 10


class Asked(Struct, frozen=True, gc=False):
    """What the server keeps of a request while its mailbox is open."""

    request: Request
    response_topic: str | None = None
    correlation: bytes | None = None
    diagnosis: Diagnosis = NOTHING
    size: int = 0
    """Bytes of the message that brought it."""


def build(answer: Answer, asked: Asked, clock: Clock, node: str) -> bytes:
    """The result's bytes. One too large for the wire loses first its copy of the input, then its longer lists."""
    result = _whole(answer, asked, clock, node)
    for shortened in (_as_it_is, _without_input, _short):
        try:
            return messages.encode(shortened(result))
        except Malformed:
            continue
    return messages.encode(_bare(result))


def _whole(answer: Answer, asked: Asked, clock: Clock, node: str) -> Result:
    wall = clock.wall_ns()
    request = asked.request
    score = answer.chosen.context if answer.chosen is not None else None
    provenance = request.provenance
    if isinstance(score, Score) and asked.diagnosis.trace:
        provenance = structs.replace(provenance, path=_through(provenance, score.provenance))
    if answer.override:
        overrides = [*provenance.overrides, f"schedule {answer.schedule_version}"][:MAX_OVERRIDES]
        provenance = structs.replace(provenance, overrides=overrides)
    return Result(
        timestamp=wall // 1_000_000,
        message_id=new_id(wall),
        provenance=add_hop(provenance, clock, node, COMPONENT),
        request_id=answer.request_id,
        cause=answer.cause,
        answer=_official(answer, score),
        default=None if answer.chosen is not None else DefaultAnswer(label=answer.label, reason=answer.reason),
        elapsed_ms=answer.elapsed_ns / 1e6,
        sla_ms=answer.sla_ms,
        late=answer.late,
        schedule_version=answer.schedule_version,
        cohort=answer.cohort,
        propensity=answer.propensity,
        models=list(answer.outcomes),
        tags=request.tags,
        input=_input(request.input),
    )


def _through(asked: Provenance, answered: Provenance) -> list[Hop]:
    """The way through the model. A scaffold repeats the question's way before its own hop; each hop is told once."""
    way, own = asked.path, answered.path
    told = next((count for count in range(len(way), 0, -1) if way[-count:] == own[:count]), 0)
    return [*way, *own[told:]][-31:]


def _official(answer: Answer, score: object) -> messages.Answer | None:
    chosen = answer.chosen
    if chosen is None:
        return None
    outputs: list[Output] = score.outputs if isinstance(score, Score) else []
    if isinstance(score, Ballot):
        outputs = [Output(label=label, score=share) for label, share in score.shares]
    return messages.Answer(
        model=chosen.model, version=chosen.version, label=chosen.label, score=chosen.score, outputs=outputs
    )


def _input(asked: Input) -> Input:
    """The question again, a picture by reference only: an inline one went to the models and is not sent back."""
    return asked if asked.inline is None else msgspec.structs.replace(asked, inline=None)


def _as_it_is(result: Result) -> Result:
    return result


def _without_input(result: Result) -> Result:
    return msgspec.structs.replace(result, input=None)


def _short(result: Result) -> Result:
    answer = result.answer
    if answer is not None:
        answer = msgspec.structs.replace(answer, outputs=answer.outputs[:_FEW])
    return msgspec.structs.replace(result, input=None, answer=answer, models=result.models[:_FEW])


def _bare(result: Result) -> Result:
    """What always fits: all strings left in it are bounded by the message types."""
    short = _short(result)
    return msgspec.structs.replace(
        short,
        tags={},
        provenance=Provenance(path=result.provenance.path[-1:], overrides=result.provenance.overrides[-1:]),
        models=result.models[:1],
    )
