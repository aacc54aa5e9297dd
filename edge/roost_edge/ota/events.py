"""What a line is told, and what it wants done. Frozen values; whoever carries out an action answers with its number."""

from dataclasses import dataclass
from typing import TypeAlias

from roost_edge.ota.goal import Goal
from roost_edge.ota.lines import Slot
from roost_edge.ota.standing import Content, Standing

# -- events ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restarted:
    """The agent has begun, after an orderly end or a power cut; `ready` are the slots whose process says so."""

    ready: frozenset[Slot] = frozenset()


@dataclass(frozen=True, slots=True)
class DocumentSeen:
    """The registry's newest document for this line."""

    goal: Goal


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of a download so far."""

    job: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bundle lies whole on the card."""

    job: int


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """It does not, and why. It is asked for again, later and later."""

    job: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What lies on the card is what was meant, and this device can run it."""

    job: int


@dataclass(frozen=True, slots=True)
class VerifyFailed:
    """It is not, or cannot. `final`: another try would find the same."""

    job: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class GoldensPassed:
    """It answers its goldens as it should, in a process of its own."""

    job: int


@dataclass(frozen=True, slots=True)
class GoldensFailed:
    """It does not. `final`: another try would find the same."""

    job: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class ScheduleInForce:
    """The schedule asked for as number `turn` counts."""

    turn: int


@dataclass(frozen=True, slots=True)
class ScheduleFailed:
    """It does not yet; it is published again."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class ModelReady:
    """A slot's process says that it is warm, and with which bundle."""

    slot: Slot
    digest: str


@dataclass(frozen=True, slots=True)
class ModelGone:
    """A slot's process has ended by itself, or says that it failed."""

    slot: Slot
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class SlotFailed:
    """A slot's process could not even be asked to start."""

    slot: Slot
    reason: str


@dataclass(frozen=True, slots=True)
class TrialCounted:
    """How a bundle has done since it was ready."""

    digest: str
    requests: int
    answered: int
    restarts: int


@dataclass(frozen=True, slots=True)
class BusyChanged:
    """Whether the device has better things to do now; `why` says which."""

    busy: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class OperatorReturn:
    """Somebody on the device wants the bundle before this one back."""

    why: str


@dataclass(frozen=True, slots=True)
class OperatorAllow:
    """Somebody on the device lifts a rejection."""

    digest: str


Event: TypeAlias = (
    Restarted
    | DocumentSeen
    | Progress
    | Fetched
    | FetchFailed
    | Verified
    | VerifyFailed
    | GoldensPassed
    | GoldensFailed
    | ScheduleInForce
    | ScheduleFailed
    | ModelReady
    | ModelGone
    | SlotFailed
    | TrialCounted
    | BusyChanged
    | OperatorReturn
    | OperatorAllow
)

# -- actions -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring the bundle onto the card: `Progress`, then `Fetched` or `FetchFailed`."""

    job: int
    content: Content


@dataclass(frozen=True, slots=True)
class StopFetch:
    """Leave the download alone; what came so far is kept for another time."""

    job: int


@dataclass(frozen=True, slots=True)
class Verify:
    """Check every file, the task, the environment: `Verified` or `VerifyFailed`."""

    job: int
    content: Content


@dataclass(frozen=True, slots=True)
class TryInChild:
    """Run the goldens in a process of their own: `GoldensPassed` or `GoldensFailed`."""

    job: int
    content: Content


@dataclass(frozen=True, slots=True)
class Remember:
    """Write this to the card, durably, before anything that follows."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class PublishSchedule:
    """Let this standing count in the task's schedule: `ScheduleInForce` or `ScheduleFailed`."""

    turn: int
    standing: Standing
    why: str


@dataclass(frozen=True, slots=True)
class StartSlot:
    """Let a slot's process run with what lies in it. Harmless when it does."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class StopSlot:
    """End a slot's process. Harmless when it does not run."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Tidy:
    """Bundles that lie in no slot may go from the card."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """Something that a report shows has changed."""


@dataclass(frozen=True, slots=True)
class Marker:
    """An operator may want to know this: an event on the device's topic."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A duplicate, late, early or unknown event, by name; counted."""

    kind: str


Action: TypeAlias = (
    Fetch
    | StopFetch
    | Verify
    | TryInChild
    | Remember
    | PublishSchedule
    | StartSlot
    | StopSlot
    | Tidy
    | ReportState
    | Marker
    | Noted
)
