"""What the rendezvous core is told. Values without behaviour; times are integers of nanoseconds.

`context` is never looked at by the core: it comes back in the action, so the shell keeps no second table.
None of these can be part of a reference cycle, so they are kept out of the garbage collector (`gc=False`):
with 100,000 open mailboxes a full collection would otherwise be a pause. `size` is how many bytes `context` keeps
alive, for the bounds by bytes; 0 when the shell does not care.
"""

from typing import Literal, TypeAlias

from msgspec import Struct, field

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
    tags: dict[str, str] = field(default_factory=dict)
    attempt: int = 1
    """How often it was issued; more than once means that an earlier server may have it."""
    context: object = None
    size: int = 0


class ScoreArrived(Struct, frozen=True, kw_only=True, gc=False):
    """A model's answer."""

    message_id: str
    request_id: str
    model: str
    version: str = ""
    label: str = ""
    score: float = 0.0
    context: object = None
    size: int = 0


class DeclinedArrived(Struct, frozen=True, kw_only=True, gc=False):
    """A model will not answer this request."""

    message_id: str
    request_id: str
    model: str
    version: str = ""
    reason: str = ""
    size: int = 0


class ModelUp(Struct, frozen=True, kw_only=True, gc=False):
    """A model, or one replica of it, says it is ready."""

    message_id: str
    model: str
    replica: int = 0
    session: int = 0
    version: str = ""


class ModelGone(Struct, frozen=True, kw_only=True, gc=False):
    """A model, or one replica of it, is not ready: gone, failed, stopped, or still starting (`reason`)."""

    message_id: str
    model: str
    replica: int = 0
    session: int = 0
    version: str = ""
    reason: str = "gone"


class ScheduleReplaced(Struct, frozen=True, kw_only=True, gc=False):
    """A new schedule for the requests that arrive from now on."""

    message_id: str
    schedule: Schedule


class TransitionToken(Struct, frozen=True, kw_only=True, gc=False):
    """The mark in the stream of requests at which one server hands over to its successor; `side` is ours."""

    message_id: str
    side: Literal["old", "new"]


class PredecessorSaid(Struct, frozen=True, kw_only=True, gc=False):
    """What the server before us had at the token. Said again, `open_ids` replace the last, answered ones add up."""

    message_id: str
    open_ids: tuple[str, ...]
    """Requests that it goes on with to their end, and repeats the answers of."""
    answered_ids: tuple[str, ...]
    """Requests whose answers the shell can repeat from now on, oldest first."""


class PredecessorGone(Struct, frozen=True, kw_only=True, gc=False):
    """The server before us has ended or died: nothing is open there any more."""

    message_id: str


ModelWord: TypeAlias = ScoreArrived | DeclinedArrived
Event: TypeAlias = (
    RequestArrived
    | ScoreArrived
    | DeclinedArrived
    | ModelUp
    | ModelGone
    | ScheduleReplaced
    | TransitionToken
    | PredecessorSaid
    | PredecessorGone
)
