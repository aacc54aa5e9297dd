"""What a device's monitor finds strange: the alarms of a task that are open, and each change of one.

`nines` counts nines: an alarm of 3 is stranger than all but a thousandth of what the same device has seen. What it is
made of stands in `signals`, the culprit first.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from roost_broker.messages.parts import Count, Header, Millis, Name, Part, Text

Verdict: TypeAlias = Literal["model", "world", "camera", "clock", "link", "unknown"]
"""What changed, as far as it can be told from which signals moved and which did not."""


class AlarmSignal(Part, frozen=True, kw_only=True):
    """One monitored quantity's part in an alarm, at the moment when it was strangest."""

    name: Text
    """Such as `henhouse/score/champion/hen`."""
    kind: Text = ""
    subject: Text = ""
    """What it is about: a model, the canary, a camera, the clock …"""
    about: Text = ""
    """Whose: the model's name, the camera's, the field's."""
    side: Literal["data", "operational"] = "data"
    nines: float = 0.0
    """How strange within its own history: 3 is stranger than 999 of 1,000 of its readings."""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of all that is strange in this alarm."""
    normal: float | None = None
    now: float | None = None
    unit: Text = ""
    sentence: Text = ""
    since: Millis = 0


class AlarmMarker(Part, frozen=True, kw_only=True):
    """Something that was done on purpose shortly before: a new schedule, a step of a roll-out."""

    at: Millis
    text: Text


class OpenAlarm(Part, frozen=True, kw_only=True):
    """One change of what is normal; one change is one alarm, however many signals show it."""

    alarm_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{1,32}$(?!\n)")]
    """A later alarm of the same device has the larger one."""
    task: Name | None = None
    """Left out for what concerns the whole device."""
    state: Literal["open", "acknowledged", "ended"] = "open"
    verdict: Verdict = "unknown"
    sentence: Text = ""
    """For people: what changed."""
    reasons: Annotated[list[Text], Meta(max_length=16)] = field(default_factory=list)
    """Why the verdict is what it is."""
    how: Text = ""
    """Which combination of signals spoke: one, one for an hour, several …"""
    nines: float = 0.0
    """Of the strangest signal, at its strangest."""
    per_week: float = 0.0
    """How often a week something as strange is to be expected while nothing is wrong."""
    opened_at: Millis
    updated_at: Millis
    acknowledged_at: Millis | None = None
    acknowledged_by: Text = ""
    ended_at: Millis | None = None
    ending: Literal["", "calm", "new-normal"] = ""
    """`calm`: all is as it was; `new-normal`: it stayed so, and counts as usual from now on."""
    signals: Annotated[list[AlarmSignal], Meta(max_length=32)] = field(default_factory=list)
    """The culprit first."""
    markers: Annotated[list[AlarmMarker], Meta(max_length=16)] = field(default_factory=list)


class Alarms(Header, tag_field="schema", tag="roost.alarms/1", frozen=True, kw_only=True):
    """The alarms of one task that are open, worst first; retained. Without `task`: those of the device as a whole."""

    task: Name | None = None
    open: Annotated[list[OpenAlarm], Meta(max_length=32)] = field(default_factory=list)
    signals: Count = 0
    """How many quantities are watched."""
    able: Count = 0
    """Of these, with enough history to be part of an alarm."""
    watched_since: Millis = 0
    """Since when; 0: nothing was heard yet."""
    why_not: Text = ""
    """Why there can be no alarm yet; empty when there can."""
    judged: Annotated[list[Name], Meta(max_length=256)] = field(default_factory=list)
    """Models of which something is known for long enough that an alarm may blame them."""


class Alarm(Header, tag_field="schema", tag="roost.alarm/1", frozen=True, kw_only=True):
    """An alarm changed. `opened` is the one to wake somebody for."""

    change: Literal["opened", "updated", "acknowledged", "ended"]
    alarm: OpenAlarm
