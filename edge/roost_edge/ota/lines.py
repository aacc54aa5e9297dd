"""A *line*: one model of the settings whose bundle is kept up to date, and the names of its two slots.

Slot a is the model as the settings name it, slot b is `<model>-b`: a second process with topics of its own. Which of
the two answers officially is the schedule's business alone, so a promotion restarts nothing.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Slot: TypeAlias = Literal["a", "b"]
OTHER: dict[Slot, Slot] = {"a": "b", "b": "a"}
SLOTS: tuple[Slot, Slot] = ("a", "b")


def slot_name(model: str, slot: Slot) -> str:
    """Name of a slot's model in schedule, topics and roles."""
    return model if slot == "a" else f"{model}-b"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One model that is kept up to date."""

    task: str
    model: str
    """As the settings and the operator's schedule name it."""
    bundle: str
    """Its name in the registry."""

    @property
    def key(self) -> str:
        """For logs, files and the command line; no two lines of a device share it."""
        return f"{self.task}/{self.model}"

    def name(self, slot: Slot) -> str:
        """See `slot_name`."""
        return slot_name(self.model, slot)

    def slot_of(self, model: str) -> Slot | None:
        """The slot whose model is called so; None for somebody else's."""
        return next((slot for slot in SLOTS if self.name(slot) == model), None)
