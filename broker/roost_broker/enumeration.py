"""Names in a sentence that must not grow with them. Pure."""

from collections.abc import Sequence


def first_of(names: Sequence[str], most: int, more: str = "more") -> str:
    """The first `most` of them, and how many there are beside: `a, b and 3 more`."""
    beside = f" and {len(names) - most} {more}" if len(names) > most else ""
    return ", ".join(names[:most]) + beside
