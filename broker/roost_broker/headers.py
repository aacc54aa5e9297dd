"""The three header fields every message begins with."""

from typing import NamedTuple

from roost_broker.clock import MS, Clock
from roost_broker.ids import new_id
from roost_broker.messages import Hop, Provenance
from roost_broker.version import VERSION


class Header(NamedTuple):
    """`timestamp` in milliseconds since 1970, a fresh `message_id`, and a provenance of one hop."""

    timestamp: int
    message_id: str
    provenance: Provenance


def new_header(clock: Clock, node: str, component: str) -> Header:
    """Header of a message that begins here, by the wall clock."""
    wall = clock.wall_ns()
    hop = Hop(node=node, component=component, version=VERSION, at=wall // MS)
    return Header(wall // MS, new_id(wall), Provenance(path=[hop]))


def add_hop(provenance: Provenance, clock: Clock, node: str, component: str) -> Provenance:
    """Provenance of a message that passes through here. The newest 32 hops are kept."""
    hop = Hop(node=node, component=component, version=VERSION, at=clock.wall_ns() // MS)
    path = [*provenance.path, hop][-32:]
    return Provenance(path=path, trace_parent=provenance.trace_parent, overrides=provenance.overrides)
