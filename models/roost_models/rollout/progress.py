"""What a roll-out is and how far it has come, as one document that survives its controller. Pure."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_models.rollout.document import BundleRef, Name, Rollout, Text
from roost_models.rollout.evidence import Counts
from roost_models.rollout.planning import Plan

State: TypeAlias = Literal["planned", "running", "paused", "aborted", "complete"]
MAX_BYTES = 64_000_000


class Order(Struct, frozen=True, kw_only=True):
    """What was asked for; it does not change."""

    rollout_id: Annotated[str, Meta(min_length=1, max_length=100)]
    task: Name
    bundle: BundleRef
    previous: BundleRef | None = None
    tags: dict[Name, Text] = field(default_factory=dict)
    plan: Plan
    author: Annotated[str, Meta(min_length=1, max_length=1000)]
    why: Text = ""
    report: str = ""
    """Digest of the assessment report that it rests on."""


class Told(Struct, frozen=True, kw_only=True):
    """The newest marker: kept with the change that it tells of, so that it is left even when that was cut short."""

    kind: str
    text: str
    number: int


class Progress(Struct, tag_field="schema", tag="roost.rollout-progress/1", frozen=True, kw_only=True):
    """How far it has come."""

    order: Order
    state: State = "planned"
    step: int = 0
    generation: int = 0
    """Of the newest document. What the registry holds is the truth; see `controller.Controller`."""
    step_since_ns: int = 0
    """Wall clock; moved on by the time that it was paused."""
    paused_ns: int | None = None
    """Since when it is paused."""
    served_from_step: int | None = None
    """The first step that let devices serve; None: not yet."""
    reason: str = ""
    """Why it was halted or aborted."""
    bases: dict[str, Counts] = field(default_factory=dict)
    """Where the counters of each device stood when the step began."""
    ever_served: list[str] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    """By device: no report that is older counts (`evidence.Fleet.floors`)."""
    told: Told | None = None
    author: str = ""
    why: str = ""
    at_ms: int = 0
    """Of the newest change."""

    @property
    def began(self) -> bool:
        """Whether there ever was a document. If not, its start was cut short, and no device has heard of it."""
        return self.generation > 0

    @property
    def over(self) -> bool:
        """Whether no more documents come."""
        return self.state in ("aborted", "complete")

    def document(self) -> Rollout:
        """What the devices are told."""
        order = self.order
        if self.state == "planned" or not self.began:
            raise ValueError("a roll-out that has not been started has no document")
        step = order.plan.steps[self.step]
        complete = self.state == "complete"
        return Rollout(
            rollout_id=order.rollout_id,
            generation=self.generation,
            task=order.task,
            bundle=order.bundle,
            previous=order.previous,
            state=self.state,
            shadow=1.0 if complete else step.shadow,
            serving=1.0 if complete else step.serving,
            tags=order.tags,
            step=self.step,
            at_ms=self.at_ms,
            author=self.author[:1000],
            why=self.why[:1000],
        )


_decoder = msgspec.json.Decoder(Progress)


def parse(data: bytes) -> Progress:
    """Read it. Raises `Malformed`."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"A roll-out's progress of {len(data)} bytes is over the limit of {MAX_BYTES}.")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not the progress of a roll-out: {error}.") from error


def render(progress: Progress) -> bytes:
    """Its bytes."""
    return msgspec.json.encode(progress) + b"\n"
