"""States and traces as processes say them, for a watch that hears messages."""

import itertools
from typing import Any

from roost_broker.messages import ModelState, RoleState, Span, Trace

MS = 1_000_000
_numbers = itertools.count(1)


def head() -> dict[str, Any]:
    """A message of its own."""
    return {"timestamp": 5, "message_id": f"{next(_numbers):032x}"}


def role(name: str, state: Any = "ready", session: int = 1, **counts: int) -> RoleState:
    """A role's state; `oldest_age_ms` is the count `oldest-age-ms`."""
    named = {what.replace("_", "-"): count for what, count in counts.items()}
    return RoleState(**head(), role=name, state=state, session=session, counts=named)


def model(name: str, state: Any = "ready", session: int = 1) -> ModelState:
    """A model's state."""
    return ModelState(**head(), model=name, state=state, session=session, version="1")


def trace(component: str, steps: dict[str, float]) -> Trace:
    """What a component did for a request: milliseconds by step."""
    spans = [Span(name=name, start_ns=0, duration_ns=round(ms * MS)) for name, ms in steps.items()]
    return Trace(**head(), request_id="1" * 32, component=component, boot="b" * 32, spans=spans)
