"""The dataset document: one version of a dataset as data. Pictures lie beside it by content, never inside.

A version is never changed; the next one names it as its parent. The split of a picture is decided by the group it
belongs to (its site and day), so that nearly equal pictures of one morning never stand on both sides; a group that was
once in the test split stays there in all later versions.
"""

import hashlib
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed

Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)")]
Label: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Split: TypeAlias = Literal["train", "validation", "test"]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Item(_Part, frozen=True, kw_only=True):
    """One labelled picture."""

    sha256: Digest
    label: Label
    split: Split
    site: Text = ""
    """Where it was taken: usually the device's name."""
    day: Text = ""
    """`YYYY-MM-DD`, UTC; empty when nobody knows."""
    label_id: Text = ""
    """Which entry of the label store says so."""
    author: Text = ""
    origin: Text = ""
    """`archive`, `folder:…`, `csv:…`."""

    @property
    def group(self) -> str:
        """What is never split between training and test: a site's day, as far as they are known."""
        if not self.site and not self.day:
            return self.sha256  # nothing is known of its neighbours
        return f"{self.site} {self.day}".strip()


LeftOutReason: TypeAlias = Literal["conflict", "not-usable", "missing", "damaged", "not-wanted"]


class LeftOut(_Part, frozen=True, kw_only=True):
    """A labelled picture that is not in this version, and why."""

    sha256: Digest
    reason: LeftOutReason
    """`conflict`: authors disagree. `not-wanted`: its label is not one of this dataset's."""
    detail: Text = ""


class Dataset(_Part, tag_field="schema", tag="roost.dataset/1", frozen=True, kw_only=True):
    """One version. `items` are sorted by `sha256`, so that equal datasets have equal bytes."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    parent: Digest | None = None
    """`digest_of` the version before."""
    labels: Annotated[list[Label], Meta(min_length=2, max_length=1000)]
    """In the order in which a model's outputs are numbered."""
    items: list[Item]
    made_at_ms: Annotated[int, Meta(ge=0)]
    author: Text = ""
    why: Text = ""
    test_share: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    validation_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    recipe: dict[str, Text] = field(default_factory=dict)
    """How the items were chosen: filters and the like."""
    task: Text = ""
    """Whose labels these are."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Sorted by `sha256`."""


_decoder = msgspec.json.Decoder(Dataset)


def parse(data: bytes) -> Dataset:
    """Read a document. Raises `Malformed`."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a dataset document: {error}.") from error


def render(dataset: Dataset) -> bytes:
    """Its bytes, the same for the same dataset."""
    return msgspec.json.format(msgspec.json.encode(dataset), indent=1) + b"\n"


def digest_of(data: bytes) -> str:
    """SHA-256 of a document's bytes: the version's identity."""
    return hashlib.sha256(data).hexdigest()
