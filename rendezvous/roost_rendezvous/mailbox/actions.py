"""What the rendezvous core wants done, and the named outcomes of what needs nothing done."""

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

from roost_broker.messages import ModelOutcome
from roost_rendezvous.mailbox.events import ScoreArrived

Cause: TypeAlias = Literal["preferred", "fallback", "override", "default"]


class Kind(StrEnum):
    """Every outcome that is not an answer has a name, and is counted by it."""

    DUPLICATE_REQUEST = "duplicate-request"
    """The same request again while its mailbox is open."""
    REPEATED_REQUEST = "repeated-request-answered"
    """The same request again after it was answered: the stored result goes out once more."""
    LATE_REQUEST = "late-request"
    """It arrived after its own deadline (an outage, usually); its clock starts at arrival."""
    OVER_CAPACITY = "over-capacity"
    """All mailboxes are in use: the default at once."""
    DUPLICATE_SCORE = "duplicate-score"
    DUPLICATE_DECLINE = "duplicate-decline"
    LATE_SCORE = "late-score"
    """After the official answer."""
    LATE_DECLINE = "late-decline"
    EARLY_WORD = "early-word-held"
    """A score or decline before its request; held for a while."""
    STRANGER = "stranger-score"
    """A held score or decline whose request never came, or that had to make room."""
    IGNORED_SCORE = "ignored-model-score"
    """From a model that the schedule ignores; recorded, never official."""
    UNLISTED_SCORE = "unlisted-model-score"
    """From a model that no step accepts; recorded, never official."""
    TOO_MANY_MODELS = "too-many-models"
    """More model names than a mailbox or the table of models holds."""
    GRACE_CUT = "grace-cut-short"
    """An answered mailbox closed before its time to make room."""
    STALE_STATE = "stale-model-state"
    """The last will of an earlier session of a model that has returned since."""
    NAMESAKE = "quorum-namesake-word"
    """From a model that bears the name of one of the schedule's quorums; not taken, for it would speak for all."""
    SCHEDULE_APPLIED = "schedule-applied"
    STANDBY = "standby"
    """A request, score or decline that is our predecessor's: we wait for the transition token."""
    TOOK_OVER = "took-over"
    """The transition token: requests behind it are ours."""
    HELD_REQUEST = "held-request"
    """Asked again after the token, and the predecessor has not said yet whether it has it."""
    WITH_PREDECESSOR = "with-predecessor"
    """A request, score or decline of a mailbox that our predecessor finishes."""
    FINISHING = "finishing"
    """The transition token: we go on with what is open and take nothing new."""
    HANDED_OVER = "handed-over"
    """A request, score or decline that is our successor's."""
    TOKEN_OUT_OF_TURN = "token-out-of-turn"  # noqa: S105  a token of a hand-over is no password
    """A token, or news of a predecessor, that does not concern us as we are; twice the same, usually."""


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """Publish this official result. There is exactly one for each request."""

    event_id: str
    """The message that brought the decision about; the request itself when time did."""
    request_id: str
    cause: Cause
    reason: str
    """Why a default had to be given; empty for a classification."""
    chosen: ScoreArrived | None
    """None = the default."""
    label: str
    elapsed_ns: int
    sla_ms: int
    late: bool
    schedule_version: str
    outcomes: tuple[ModelOutcome, ...]
    context: object
    cohort: str = ""
    """The model that this request preferred by roll-out or by lot; empty for everybody else."""
    propensity: float | None = None
    """Chance with which that model was drawn, where it was by lot."""
    early_ns: int = 0
    """So much sooner than its model's step, because nothing better could come; 0 for a default."""
    override: bool = False
    """It was decided by the request's own schedule, whatever the cause."""


class Noted(Struct, frozen=True, gc=False):
    """Count this; nothing else is to be done (except for `REPEATED_REQUEST`)."""

    kind: Kind
    event_id: str
    request_id: str = ""
    model: str = ""


class Closed(Struct, frozen=True, kw_only=True, gc=False):
    """An answered mailbox's grace time is over; `late` is what models said after the answer."""

    event_id: str
    request_id: str
    cause: Cause
    model: str
    """The official model, empty for a default."""
    late: tuple[ModelOutcome, ...]


Action: TypeAlias = Answer | Noted | Closed
