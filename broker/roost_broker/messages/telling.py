"""What people and home automation are told of cameras beside sightings, and what they can switch."""

from typing import Annotated, Literal

from msgspec import Meta, field

from roost_broker.messages.parts import FrameRef, Header, Id, Label, Millis, Name, Text


class SwitchState(Header, tag_field="schema", tag="roost.switch/1", frozen=True, kw_only=True):
    """How a switch of a camera stands; retained. It is told by whoever obeys it, so what it says is done."""

    camera: Name
    switch: Name
    state: Literal["on", "off"]


class CameraStatus(Header, tag_field="schema", tag="roost.camera/1", frozen=True, kw_only=True):
    """Whether a camera works, and what it saw last; retained."""

    camera: Name
    state: Literal["online", "offline"]
    detail: Text = ""
    """What its process says of itself."""
    label: Label | None = None
    """Of the newest sighting; left out before the first."""
    score: float | None = None
    task: Name | None = None
    seen_at: Millis | None = None
    """When it was last seen."""
    open: Annotated[list[Label], Meta(max_length=64)] = field(default_factory=list)
    """Labels of the sightings that go on now."""


class Notice(Header, tag_field="schema", tag="roost.notice/1", frozen=True, kw_only=True):
    """A rule of the settings has something to say to people, once: a phone rings for it."""

    rule: Name
    kind: Literal["seen", "absent", "test"]
    text: Text
    """For people: one sentence."""
    camera: Name | None = None
    task: Name | None = None
    label: Label | None = None
    score: float | None = None
    request_id: Id | None = None
    frame: FrameRef | None = None
