"""What a device and a fleet say to each other: reports of the OTA agent, its orders, and what people suggest.

A roll-out itself is no message: it is a signed document in the registry (`roost_models.rollout.document`), so that
nobody on a broker can start one.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from roost_broker.messages.parts import Count, Digest, Header, Id, Label, Millis, Name, Part, Text

Slot: TypeAlias = Literal["a", "b"]
OtaPhase: TypeAlias = Literal[
    "idle", "deferred", "downloading", "verifying", "testing", "warming", "shadow", "serving", "returning", "failed"
]


class Agreement(Part, frozen=True, kw_only=True):
    """How often two models gave the same best label for the same request."""

    model: Name
    same: Count = 0
    of: Count = 0


class Trial(Part, frozen=True, kw_only=True):
    """What a device counted of one bundle since it became ready here; the roll-out's gates read this."""

    bundle: Name
    version: Text
    digest: Digest
    since: Millis
    requests: Count = 0
    """Requests that the model was asked."""
    answered: Count = 0
    declined: Count = 0
    official: Count = 0
    """Results of which its answer was the official one: requests that this bundle served."""
    restarts: Count = 0
    """Times its process ended by itself."""
    alarms: Count = 0
    alarms_able: bool | None = None
    """Whether the monitor knows this model for long enough to blame it; left out by a device that does not tell."""
    agreements: Annotated[list[Agreement], Meta(max_length=16)] = field(default_factory=list)
    """With the canary, and with the bundle that it is to replace."""
    p50_ms: Annotated[float, Meta(ge=0)] | None = None
    """Compute time of its newest answers."""
    p99_ms: Annotated[float, Meta(ge=0)] | None = None
    previous_p99_ms: Annotated[float, Meta(ge=0)] | None = None
    """The same of the bundle that it is to replace, on the same device; what a latency gate compares with."""
    labels: dict[str, Count] = field(default_factory=dict)
    """Best labels, counted; at most 32 different ones."""


class OtaSlot(Part, frozen=True, kw_only=True):
    """What lies in one of the two slots of a line."""

    slot: Slot
    model: Name
    """Name of the slot's model in schedule and topics."""
    bundle: Name
    version: Text
    digest: Digest
    state: Literal["active", "shadow", "fallback", "rejected"]


class OtaLine(Part, frozen=True, kw_only=True):
    """One model of the settings that is kept up to date: a line of bundles that replace each other in two slots."""

    task: Name
    model: Name
    bundle: Name
    """Name of the bundle in the registry."""
    phase: OtaPhase
    rollout: Text = ""
    generation: Count = 0
    """Of the roll-out document that the device acts upon."""
    wanted: Text = ""
    """Version that the roll-out gives this device; empty: none."""
    bytes_done: Count = 0
    bytes_total: Count = 0
    slots: Annotated[list[OtaSlot], Meta(max_length=2)] = field(default_factory=list)
    trial: Trial | None = None
    """Of the newest bundle, while it is in shadow and while it serves."""
    problem: Text = ""


class OtaState(Header, tag_field="schema", tag="roost.ota/1", frozen=True, kw_only=True):
    """What runs on a device and what is on its way there; retained, signed with the device's own key."""

    node: Name
    version: Text
    """Of Roost."""
    tags: dict[str, Text] = field(default_factory=dict)
    """The device's own, by which a roll-out may choose."""
    lines: Annotated[list[OtaLine], Meta(max_length=64)] = field(default_factory=list)
    problem: Text = ""
    """Why the registry cannot be used now; empty when it can."""
    key_id: Text = ""
    signature: Text = ""
    """Ed25519 over the same message without this field, hex."""


class OtaOrder(Header, tag_field="schema", tag="roost.ota-order/1", frozen=True, kw_only=True):
    """Something the OTA agent is asked to do now. It may come from the centre: it can hasten, never choose a bundle."""

    transaction: Text = ""
    do: Literal["check", "report"]


class Suggestion(Header, tag_field="schema", tag="roost.suggestion/1", frozen=True, kw_only=True):
    """Somebody says what a picture shows: a reply to a post, a button in an app. A label only when reviewed."""

    request_id: Id | None = None
    frame: Digest | None = None
    label: Label
    author: Text
    reason: Text = ""
    source: Text = ""
    """Where it was said: `twitter`, `home-assistant` …"""
    at: Millis = 0
