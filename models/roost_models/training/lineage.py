"""What a dataset's version says about where a model comes from. Pure."""

from collections import Counter

from roost_models.datasets.document import Dataset

DOES_NOT_TRANSFER = (
    "**Rendered scenes do not transfer to real ones.** A network trained on rendered scenes called 39 of 48 real "
    "nest-box pictures one breed. These figures compare models with each other; they say nothing about real animals. "
    "For those, train on pictures of your own camera."
)

_COMMENT = b"Rendered"
"""Begins the JPEG comment of a rendered picture."""


def rendered(dataset: Dataset, sample: bytes) -> bool:
    """Whether any of the pictures is rendered: its origin says so, or the picture itself (`sample` is one of them)."""
    said = [dataset.why, *dataset.recipe.values(), *{item.origin for item in dataset.items}]
    return any("rendered" in text.lower() for text in said) or jpeg_comment(sample).startswith(_COMMENT)


def jpeg_comment(data: bytes) -> bytes:
    """The first comment (COM) of a JPEG's header; empty where there is none, or it is no JPEG."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xFE:
            return data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)
    return b""


def with_comment(data: bytes, comment: str) -> bytes:
    """A JPEG with this comment at its beginning; decoders pass over it."""
    text = comment.encode()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Pictures by split and label; labels in the dataset's order."""
    found = Counter((item.split, item.label) for item in dataset.items)
    return {
        split: {label: found[split, label] for label in dataset.labels} for split in ("train", "validation", "test")
    }
