"""The parts of a schedule: a step, the default, a quorum; and the error that names the part which cannot be."""

import math
from typing import Annotated

from msgspec import Meta, Struct

from roost_broker.errors import Misuse

ANY = "*"
"""In a step: any other model that is not ignored."""
MAX_MODELS = 64
"""Most models one schedule may name in one place."""
MAX_STEPS = 32


class Refused(Misuse):
    """A schedule that cannot be; `where` is the path of the culprit, as in `("step", "1", "after_ms")`."""

    def __init__(self, problem: str, remedy: str, *where: str) -> None:
        super().__init__(problem, remedy)
        self.where = where


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `after_ms` on, the models of `accept` may be official too, in this order of preference."""

    after_ms: Annotated[int, Meta(ge=0)]
    accept: tuple[str, ...]


class Default(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The safe constant given when no accepted model has answered after `after_ms`."""

    after_ms: Annotated[int, Meta(ge=0)]
    label: Annotated[str, Meta(min_length=1, max_length=200)]


class Quorum(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Answers for several models when enough of them have: `need` of them, or a `share` of them, rounded up."""

    members: tuple[str, ...]
    need: int | None = None
    share: float | None = None

    @property
    def votes(self) -> int:
        """How many members must have answered."""
        if self.need is not None:
            return self.need
        return math.ceil((self.share or 0) * len(self.members) - 1e-9)  # 0.8 of 5 is 4, whatever floats say
