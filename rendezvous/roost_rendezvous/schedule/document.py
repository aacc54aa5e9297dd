"""A whole schedule as a value: one that exists is valid."""

import hashlib
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, field

from roost_rendezvous.schedule import checks
from roost_rendezvous.schedule.parts import ANY, Default, Quorum, Step

_encoder = msgspec.json.Encoder(order="sorted")


class Schedule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """See the package. Raises `Refused` (a `Misuse`) when it cannot be."""

    task: str
    sla_ms: Annotated[int, Meta(ge=1, le=3_600_000)]
    steps: tuple[Step, ...] = field(name="step")
    default: Default
    ignore: tuple[str, ...] = ()
    rank: tuple[str, ...] = ()
    cohort_tag: Annotated[str, Meta(min_length=1, max_length=200)] = "camera"
    rollout: dict[str, float] = field(default_factory=dict)
    random: dict[str, float] = field(default_factory=dict)
    sample: dict[str, float] = field(default_factory=dict)
    quorum: dict[str, Quorum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.check(self)

    @property
    def named(self) -> tuple[str, ...]:
        """Models and quorums named by any step, most preferred first."""
        return tuple(dict.fromkeys(m for step in self.steps for m in step.accept if m != ANY))

    @property
    def models(self) -> tuple[str, ...]:
        """Models that may be official by name (no quorums, but their members), most preferred first."""
        names = dict.fromkeys((*self.named, *self.rollout, *self.random, *self.rank))
        members = (member for quorum in self.quorum.values() for member in quorum.members)
        return tuple(name for name in dict.fromkeys((*names, *members)) if name not in self.quorum)

    @property
    def version(self) -> str:
        """Short content hash: equal schedules have equal versions wherever they came from."""
        loose = self.to_object()
        if self.rollout:
            loose["rollout"] = list(self.rollout.items())  # here the order counts: the first that fits wins
        return hashlib.sha256(_encoder.encode(loose)).hexdigest()[:12]

    def to_object(self) -> dict[str, Any]:
        """The schedule as plain values, as `parse` reads them; what the retained topic carries."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))

    def promoting(self, model: str) -> "Schedule":
        """This schedule with `model` alone in the first step, and all that step accepted in the second."""
        first, second, *later = self.steps
        behind = Step(after_ms=second.after_ms, accept=_joined((model, *first.accept, *second.accept)))
        rest = ((step.after_ms, tuple(name for name in step.accept if name != model)) for step in later)
        steps = (
            Step(after_ms=0, accept=(model,)),
            behind,
            *(Step(after_ms=after_ms, accept=accept) for after_ms, accept in rest if accept),
        )
        named = {name for step in steps for name in step.accept}
        return msgspec.structs.replace(
            self,
            steps=steps,
            rank=tuple(name for name in self.rank if name not in named),
            rollout={},
            random={},
            quorum={name: quorum for name, quorum in self.quorum.items() if name in named},
        )


def _joined(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each name once, in order; `*` last."""
    once = [name for name in dict.fromkeys(names) if name != ANY]
    return (*once, ANY) if ANY in names else tuple(once)
