"""What of a lane's message can be believed. Pure.

Headers are the sender's own words; the subject is what the server's permissions let it say. So the two must agree:
else a device that may publish `up.*.roost.coop-1.>` could speak for every other. And names become parts of paths and
tables at the centre, so that nothing but a name may stand where one belongs.
"""

from collections.abc import Mapping

from roost_broker.centre.envelope import Envelope, parse
from roost_broker.centre.lanes import node_of, subject_of
from roost_broker.errors import Malformed
from roost_broker.topics import is_name, is_topic


def read(
    subject: str, headers: Mapping[str, str] | None, payload: bytes, stored_ms: int = 0, *, base: str = "roost"
) -> Envelope:
    """A message of a lane as its reader may take it. Raises `Malformed` with the reason; never anything else."""
    envelope = parse(headers, payload, stored_ms)
    if not is_topic(envelope.topic):
        raise Malformed(f"{envelope.topic[:80]!r} is no topic.")
    node = node_of(envelope.topic, base)
    if node is None or not is_name(node):
        raise Malformed(f"The topic {envelope.topic[:80]!r} belongs to no device below {base!r}.")
    if envelope.node != node:
        raise Malformed(f"It says that {envelope.node[:80]!r} sent it, on a topic of {node!r}.")
    if subject != subject_of(envelope.topic, envelope.lane, base):
        raise Malformed(f"The subject {subject[:80]!r} is not that of {envelope.topic[:80]!r} in {envelope.lane}.")
    return envelope
