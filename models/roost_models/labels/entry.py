"""What the label store holds: entries. Each says what somebody holds of one picture, for one task; none ever changes.

* `label`: the picture shows this.
* `not-usable`: it cannot be judged, or should not teach anybody (blurred, empty, private); `reason` says why.
* `skip`: its author passes. No verdict; it keeps the picture from being asked of the same author again.
* `withdrawn`: what it supersedes no longer holds, and nothing holds in its place (an undo).
* `suggestion`: somebody outside says so. Pending until somebody judges the picture; never a label by itself.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from roost_broker.errors import Malformed
from roost_broker.messages.parts import Digest, Id, Label, Millis, Text

Kind: TypeAlias = Literal["label", "not-usable", "skip", "withdrawn", "suggestion"]
Author: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
MAX_LINE = 20_000
"""Most characters of an entry's line in a file."""


class Entry(
    Struct, tag_field="schema", tag="roost.label/1", rename="camel", omit_defaults=True, frozen=True, kw_only=True
):
    """One entry. Raises `ValueError` for what contradicts itself."""

    id: Id
    picture: Digest | None = None
    """Only a suggestion may do without, if it names a request."""
    request_id: Id | None = None
    node: Text = ""
    task: Text = ""
    kind: Kind = "label"
    label: Label | None = None
    """Of a label and of a suggestion."""
    author: Author
    at: Millis
    """When it was said, wall clock of whoever wrote it down."""
    reason: Text = ""
    origin: Text = ""
    """`page`, `folder:…`, `csv:…`, `suggestion:…`, `command`."""
    supersedes: Id | None = None
    """The entry that no longer holds."""
    site: Text = ""
    """Where the picture was taken, if known: usually the device's name."""
    taken: Millis | None = None
    """When the picture was taken, if known."""

    def __post_init__(self) -> None:
        if (self.label is not None) != (self.kind in ("label", "suggestion")):
            raise ValueError(f"a {self.kind} {'has' if self.label is not None else 'needs'} a label")
        if self.picture is None and not (self.kind == "suggestion" and self.request_id):
            raise ValueError(f"a {self.kind} names its picture")
        if self.kind == "withdrawn" and self.supersedes is None:
            raise ValueError("a withdrawal names what it withdraws")
        if self.supersedes == self.id:
            raise ValueError("an entry cannot supersede itself")

    @property
    def verdict(self) -> bool:
        """Whether it judges the picture."""
        return self.kind in ("label", "not-usable")


_decoder = msgspec.json.Decoder(Entry)


def parse(line: bytes) -> Entry:
    """Read one line. Raises `Malformed`."""
    try:
        if len(line) > MAX_LINE:
            raise ValueError(f"{len(line)} bytes are over the limit of {MAX_LINE}")
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"No label entry: {error}.") from error


def render(entry: Entry) -> bytes:
    """One line without its end, the same for the same entry."""
    return msgspec.json.encode(entry)
