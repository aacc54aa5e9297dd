"""A roll-out's marker as the message that readers of metrics find among the fleet's events. Pure.

It stands on `<base>/centre/event`. Its id, and its place in the central streams, follow from the marker alone: one that
is told twice is known as the same.
"""

import hashlib

from roost_broker.centre.envelope import Envelope
from roost_broker.messages import Event, Hop, Provenance, encode
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION
from roost_models.rollout.keeping import Marker

NODE = "centre"
"""In place of a device's name."""


def event_of(marker: Marker) -> Event:
    """The message; `data` has what a chart needs to cut its figures there."""
    stem = _digest(f"{marker.rollout} {marker.number}")
    return Event(
        timestamp=marker.at_ms,
        message_id=f"{marker.at_ms % 2**48:012x}{stem[:20]}",
        provenance=Provenance(path=[Hop(node=NODE, component="rollout", version=VERSION, at=marker.at_ms)]),
        kind=marker.kind,
        detail=marker.text[:1000],
        data={
            "rollout": marker.rollout,
            "number": marker.number,
            "step": marker.step,
            "shadow": marker.shadow,
            "serving": marker.serving,
        },
    )


def topic(base: str = "roost") -> str:
    """Where it is published."""
    return NodeTopics(NODE, base).event


def envelope_of(place: int, marker: Marker, base: str = "roost") -> Envelope:
    """The same for the central streams. Each roll-out is an outbox of its own; `place` counts its markers from 1.

    In the lane `extras`: in `devices` the centre would look like one.
    """
    return Envelope(
        topic=topic(base),
        payload=encode(event_of(marker)),
        node=NODE,
        outbox=_digest(marker.rollout)[:32],
        lane="extras",
        seq=place,
        received_ms=marker.at_ms,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
