"""Messages cut down to what a trace needs of them: no picture, no long lists. Pure."""

from msgspec.structs import replace

from roost_broker.messages import Declined, Message, Provenance, Result, Score, Trace, encode

_FEW = 3


def slim(message: Message) -> bytes | None:
    """The bytes to keep, or None for what belongs to no trace."""
    match message:
        case Trace():
            return encode(message)
        case Result(answer=answer):
            if answer is not None:
                answer = replace(answer, outputs=answer.outputs[:_FEW])
            return encode(replace(message, input=None, answer=answer))
        case Score():
            return encode(replace(message, outputs=message.outputs[:1], provenance=_parent(message.provenance)))
        case Declined():
            return encode(replace(message, provenance=_parent(message.provenance)))
        case _:
            return None


def _parent(provenance: Provenance) -> Provenance:
    return Provenance(trace_parent=provenance.trace_parent)
