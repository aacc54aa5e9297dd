"""What the rendezvous core is told. Values without behaviour; times are integers of nanoseconds.

`context` is never looked at by the core: it comes back in the action, so the shell keeps no second table.
None of these can be part of a reference cycle, so they are kept out of the garbage collector (`gc=False`):
with 100,000 open mailboxes a full collection would otherwise be a pause.
"""

from typing import TypeAlias

from msgspec import Struct

from roost_rendezvous.schedule import Schedule


class RequestArrived(Struct, frozen=True, kw_only=True, gc=False):
    """A request on the input stream."""

    message_id: str
    request_id: str
    opened_ns: int
    """When it was issued, if this boot issued it; else when it arrived."""
    deadline_ms: int
    """The requester's own deadline, counted from `opened_ns`."""
    override: Schedule | None = None
    """The request's own schedule, already allowed and validated by the shell."""
    context: object = None


class ScoreArrived(Struct, frozen=True, kw_only=True, gc=False):
    """A model's answer."""

    message_id: str
    request_id: str
    model: str
    version: str = ""
    label: str = ""
    score: float = 0.0
    context: object = None


class DeclinedArrived(Struct, frozen=True, kw_only=True, gc=False):
    """A model will not answer this request."""

    message_id: str
    request_id: str
    model: str
    version: str = ""
    reason: str = ""


class ModelUp(Struct, frozen=True, kw_only=True, gc=False):
    """A model says it is ready."""

    message_id: str
    model: str
    session: int = 0
    version: str = ""


class ModelGone(Struct, frozen=True, kw_only=True, gc=False):
    """A model is not ready: gone, failed, stopped, or still starting (`reason`)."""

    message_id: str
    model: str
    session: int = 0
    version: str = ""
    reason: str = "gone"


class ScheduleReplaced(Struct, frozen=True, kw_only=True, gc=False):
    """A new schedule for the requests that arrive from now on."""

    message_id: str
    schedule: Schedule


ModelWord: TypeAlias = ScoreArrived | DeclinedArrived
Event: TypeAlias = RequestArrived | ScoreArrived | DeclinedArrived | ModelUp | ModelGone | ScheduleReplaced
