"""When a picture was asked about: pure. An answer may come long after, when the broker was away meanwhile."""

from roost_broker.messages import Result


def asked_at_ms(result: Result) -> int:
    """By the wall clock of this device, which asked; the result's own time where somebody else did, or nobody says."""
    path = result.provenance.path
    if not path or path[0].node != path[-1].node:
        return result.timestamp
    return min(path[0].at, result.timestamp)
