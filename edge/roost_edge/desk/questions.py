"""From a message to a question, and who is to be answered where. Pure.

1. A message says nothing (an empty one asks, too: any MQTT tool can send it), or is a `roost.ask/1` with the verb of
   its topic, or a plain JSON object without `schema`: its `transaction`, and the rest is what the verb takes.
2. The answer goes to `response/<verb>`. An MQTT 5 Response Topic gets it as well, with its Correlation Data, unless it
   lies in Roost's own tree: the desk must not be talked into publishing there what others take for their own.
3. A retained question would be asked anew at every start: it is nobody's.
"""

from dataclasses import dataclass, field

import msgspec

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed
from roost_broker.messages import MAX_BYTES, MAX_DEPTH, Ask, JsonObject, decode
from roost_broker.nesting import depth
from roost_broker.topics import NodeTopics, is_topic

_MAX_NAMES = 64
_MAX_TRANSACTION = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody wants to know."""

    verb: str
    transaction: str = ""
    only: tuple[str, ...] = ()
    """For the doctor: these checks or groups alone."""
    back: str = ""
    """The Response Topic, when it gave one that may be used."""
    correlation: bytes | None = None
    data: JsonObject = field(default_factory=dict, compare=False)
    """All that was said with it."""


def question(delivery: Delivery, verb: str, device: NodeTopics) -> Question:
    """Raises `Malformed` with the reason."""
    back = usable(delivery.response_topic, device)
    if not delivery.payload.strip():
        return Question(verb, back=back, correlation=delivery.correlation_data)
    plain = _plain(delivery.payload)
    if plain is not None:
        transaction = plain.pop("transaction", "")
        if not isinstance(transaction, str) or len(transaction) > _MAX_TRANSACTION:
            raise Malformed(f"`transaction` is no text of at most {_MAX_TRANSACTION} characters.")
        return Question(verb, transaction, _only(plain), back, delivery.correlation_data, plain)
    message = decode(delivery.payload)
    if not isinstance(message, Ask):
        raise Malformed(f"This is of the kind {type(message).__name__}, and only questions belong here.")
    if message.verb != verb:
        raise Malformed(f"It asks for {message.verb!r} on the topic of {verb!r}.")
    return Question(verb, message.transaction, _only(message.data), back, delivery.correlation_data, message.data)


def _plain(payload: bytes) -> JsonObject | None:
    """A JSON object that claims to be no message of ours; None for everything else."""
    if len(payload) > MAX_BYTES or depth(payload, MAX_DEPTH) > MAX_DEPTH:
        return None
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) and "schema" not in found else None


def usable(topic: str | None, device: NodeTopics) -> str:
    """The Response Topic, if it is one that the desk publishes to; else nothing."""
    if not topic or not is_topic(topic) or topic.startswith("$"):
        return ""
    own = topic == device.base or topic.startswith(f"{device.base}/")
    return topic if not own or topic.startswith(f"{device.root}/response/") else ""


def _only(data: JsonObject) -> tuple[str, ...]:
    names = data.get("only", [])
    if not isinstance(names, list) or len(names) > _MAX_NAMES or not all(isinstance(name, str) for name in names):
        raise Malformed("`only` is no list of names.")
    return tuple(name[:200] for name in names)
