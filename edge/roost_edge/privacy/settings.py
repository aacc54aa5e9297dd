"""Settings of the privacy guard: `[privacy]` of a settings file. Light, for every role reads it."""

from msgspec import Struct


class PrivacySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that looks for people holds back what is shown outside the device."""

    model: str
    """Its name; every task must have a model of this name. Whether it is ever official is the schedule's business."""
    labels: tuple[str, ...] = ("person",)
    """Labels that keep a picture on the device."""
    clear_score: float = 0.6
    """A picture passes when another label is best, with at least this score: who is not sure says nothing."""
    wait_s: float = 5.0
    """So long a picture waits for the model's answer; without one it stays on the device."""

    def __post_init__(self) -> None:
        if not self.model or not self.labels:
            raise ValueError("privacy needs the name of a model, and labels that keep a picture back")
        if not 0 <= self.clear_score <= 1:
            raise ValueError(f"clear_score = {self.clear_score} is not between 0 and 1")
        if not 0 <= self.wait_s <= 60:
            raise ValueError(f"wait_s = {self.wait_s} is not between 0 and 60")
