"""What lies in the two slots of a line, and which of them answers: the one thing that must survive every power cut.

A `Standing` is a value; `pointer` writes it to the card, the machine makes the next one. Whatever is cut, the card
holds the one before or the one after, and either of them names a bundle that was whole, tried and serving.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, structs

from roost_edge.ota.lines import OTHER, Slot

MAX_REJECTED = 16
"""Digests that are remembered as rejected; the oldest is forgotten for a newer one."""
Beside: TypeAlias = Literal["nothing", "shadow", "fallback", "rejected"]
"""What the slot that does not answer is for. `rejected`: it was taken out of service, and its process ended."""
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One bundle, by what identifies it."""

    name: str
    version: str
    digest: Digest
    delivered: bool = False
    """It is the one that the settings name, not one of the registry."""

    @property
    def title(self) -> str:
        """For sentences."""
        return f"{self.name} {self.version} ({self.digest[:12]})"


class Rejection(Struct, frozen=True, kw_only=True):
    """A bundle that this device will not try again by itself."""

    digest: Digest
    version: str
    why: str


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="roost.ota-line/1"):
    """See the module. Replaced as a whole, never changed."""

    active: Slot = "a"
    slots: dict[Slot, Content]
    beside: Beside = "nothing"
    rejected: tuple[Rejection, ...] = ()
    rollout: str = ""
    """Roll-out document acted upon last, for the report."""
    generation: int = 0

    def __post_init__(self) -> None:
        if self.active not in self.slots:
            raise ValueError("the active slot is empty")
        if self.beside != "nothing" and self.other not in self.slots:
            raise ValueError(f"the other slot is empty and cannot be {self.beside}")

    @property
    def other(self) -> Slot:
        """The slot that does not answer, unless the active one is silent."""
        return OTHER[self.active]

    @property
    def serving(self) -> Content:
        """What answers."""
        return self.slots[self.active]

    @property
    def besides(self) -> Content | None:
        """What lies in the other slot."""
        return self.slots.get(self.other)

    @property
    def used(self) -> bool:
        """Whether a second slot was ever filled: until then the schedule is the operator's, word for word."""
        return len(self.slots) > 1 or self.active == "b" or self.beside != "nothing"

    @property
    def running(self) -> tuple[Slot, ...]:
        """Slots whose process is to run."""
        return (self.active, self.other) if self.beside in ("shadow", "fallback") else (self.active,)

    def rejection(self, digest: str) -> Rejection | None:
        """Why this digest is not tried again; None when it may be."""
        return next((one for one in self.rejected if one.digest == digest), None)

    def with_other(self, content: Content, beside: Beside) -> "Standing":
        """The other slot filled anew."""
        return structs.replace(self, slots={**self.slots, self.other: content}, beside=beside)

    def swapped(self, beside: Beside) -> "Standing":
        """The other slot answers from now on; what answered is for `beside`."""
        return structs.replace(self, active=self.other, beside=beside)

    def with_beside(self, beside: Beside) -> "Standing":
        """Another use of what lies in the other slot."""
        return structs.replace(self, beside=beside)

    def with_rejection(self, rejection: Rejection) -> "Standing":
        """One more digest that is not tried again; bounded."""
        others = tuple(one for one in self.rejected if one.digest != rejection.digest)
        return structs.replace(self, rejected=(*others, rejection)[-MAX_REJECTED:])

    def allowing(self, digest: str) -> "Standing":
        """The digest may be tried again."""
        return structs.replace(self, rejected=tuple(one for one in self.rejected if one.digest != digest))


def rejection_of(content: Content, why: str) -> Rejection:
    """Of this bundle, for this reason; a long one is cut."""
    return Rejection(digest=content.digest, version=content.version, why=why[:500])


def first(content: Content) -> Standing:
    """How a line begins: the settings' bundle answers, and nothing is beside it."""
    return Standing(slots={"a": content})
