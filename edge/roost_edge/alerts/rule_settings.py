"""Settings of one rule: what is worth a notice. The section `[alerts.rules.<name>]`."""

import msgspec

from roost_edge.alerts.hours import DAYS, Hours, time_of

_MOST_NAMES = 100
_MOST_TEXT = 300


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a result makes people's phones ring; with `absent_by`, when the lack of one does. Bad values: ValueError."""

    labels: tuple[str, ...] = ()
    """Any of these; empty: whatever is seen, but quiet labels."""
    cameras: tuple[str, ...] = ()
    """On any of these; empty: on every camera."""
    tasks: tuple[str, ...] = ()
    """In any of these tasks; empty: in every task."""
    min_score: float = 0.5
    zone: str = ""
    """Only where the request's tag `zone` names it (several stand with commas between them)."""
    hours: str = ""
    """Local time, such as "06:00-22:00" or "22:00-06:00"; empty: always."""
    days: tuple[str, ...] = ()
    """`mon` … `sun`; empty: every day."""
    cooldown_s: float = 300.0
    """After a notice this rule makes no other for so long. 0 switches it off."""
    absent_by: str = ""
    """"10:00": a notice at this local time when nothing of the kind was seen since `absent_since`."""
    absent_since: str = "00:00"
    text: str = ""
    """What people are told; {label}, {score}, {camera}, {task}, {rule} and {time} are filled in. Empty: a sentence."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_score <= 1.0:  # also refuses NaN
            raise ValueError(f"min_score is {self.min_score}, but must lie between 0 and 1")
        if not 0.0 <= self.cooldown_s <= 604_800.0:
            raise ValueError(f"cooldown_s is {self.cooldown_s}, but must lie between 0 and 604800 seconds")
        for name in ("labels", "cameras", "tasks"):
            if len(getattr(self, name)) > _MOST_NAMES:
                raise ValueError(f"{name} has more than {_MOST_NAMES} names")
        if len(self.text) > _MOST_TEXT:
            raise ValueError(f"text is longer than {_MOST_TEXT} characters")
        if "," in self.zone:
            raise ValueError("zone is the name of one zone; write a rule for each")
        for day in self.days:
            if day not in DAYS:
                raise ValueError(f"{day[:40]!r} is no day; they are {', '.join(DAYS)}")
        if self.hours:
            Hours.parse(self.hours)
        if self.absent_by:
            if self.hours:
                raise ValueError("absent_by has absent_since; hours are for rules about what is seen")
            if time_of(self.absent_since) >= time_of(self.absent_by):
                raise ValueError("absent_since comes before absent_by, on the same day")
