"""The roll-out document: what the centre wants of a line of bundles, signed in the registry, read by every device.

A device decides for itself what the document means for it (`assignment`): a pure function of the document, the device's
name and its tags. So a device that was off joins at the step that is in force, a stick carries a roll-out as well as a
link does, and nobody on a broker can start one.

Cohorts are nested hashes of the device's name (`roost_broker.shares`), salted with the roll-out's id: who is in 1 % is
in 10 % too, nobody leaves while a share only grows, and another roll-out begins with other devices (book, ch. 6).
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_broker.shares import in_share

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)")]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
MAX_BYTES = 65_536


class _Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class BundleRef(_Part, frozen=True, kw_only=True):
    """One published bundle."""

    name: Name
    version: Annotated[str, Meta(min_length=1, max_length=100)]
    digest: Digest
    """The bundle's: SHA-256 of its manifest."""


class Rollout(_Part, tag_field="schema", tag="roost.rollout/1", frozen=True, kw_only=True):
    """What is wanted of one line now. The newest `generation` counts."""

    rollout_id: Annotated[str, Meta(min_length=1, max_length=100)]
    generation: Annotated[int, Meta(ge=1)]
    task: Name
    bundle: BundleRef
    """The new one. Its `name` names the line."""
    previous: BundleRef | None = None
    """What devices go back to; none: the bundle they were delivered with."""
    state: Literal["running", "paused", "aborted", "complete"]
    shadow: Share = 0.0
    """Share of the devices that evaluate the new bundle without serving it."""
    serving: Share = 0.0
    """Share of the devices whose official answers come from it; never more than `shadow`."""
    tags: dict[Name, Text] = field(default_factory=dict)
    """Only devices with all of these tags take part; the others stay with `previous`."""
    step: Annotated[int, Meta(ge=0)] = 0
    at_ms: Annotated[int, Meta(ge=0)] = 0
    author: Text = ""
    why: Text = ""

    def __post_init__(self) -> None:
        if self.serving > self.shadow:
            raise ValueError("serving is never more than shadow: what serves was in shadow first")
        if self.previous is not None and self.previous.name != self.bundle.name:
            raise ValueError("previous is another line")


Role: TypeAlias = Literal["previous", "shadow", "serving"]


def assignment(document: Rollout, node: str, tags: Mapping[str, str]) -> Role:
    """What the document gives this device: the new bundle to serve, or in shadow beside the previous one, or not."""
    if document.state == "aborted":
        return "previous"
    if any(tags.get(name) != value for name, value in document.tags.items()):
        return "previous"
    if document.state == "complete" or in_share(document.rollout_id, node, document.serving):
        return "serving"
    return "shadow" if in_share(document.rollout_id, node, document.shadow) else "previous"


_decoder = msgspec.json.Decoder(Rollout)


def parse(data: bytes) -> Rollout:
    """Read a document. Raises `Malformed`."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"A roll-out document of {len(data)} bytes is over the limit of {MAX_BYTES}.")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a roll-out document: {error}.") from error


def render(document: Rollout) -> bytes:
    """Its bytes, the same for the same document."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
