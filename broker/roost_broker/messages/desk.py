"""What a device is asked to tell of itself, and what it answers: `request/<verb>` and `response/<verb>` (promise P8).

Asking changes nothing on the device. What does (a schedule, an order to the OTA agent) has messages of its own.
"""

from typing import Literal

from msgspec import field

from roost_broker.messages.parts import Header, JsonObject, Name, Text


class Ask(Header, tag_field="schema", tag="roost.ask/1", frozen=True, kw_only=True):
    """Somebody asks the device; its verb is the last level of the topic."""

    verb: Name
    transaction: Text = ""
    """Chosen by whoever asks, and repeated in the answer."""
    data: JsonObject = field(default_factory=dict)


class Reply(Header, tag_field="schema", tag="roost.answer/1", frozen=True, kw_only=True):
    """The device's answer. `status` says whether the question could be answered, not whether the news is good."""

    verb: Name
    transaction: Text = ""
    status: Literal["ok", "error"]
    data: JsonObject = field(default_factory=dict)
    problem: Text = ""
    remedy: Text = ""
