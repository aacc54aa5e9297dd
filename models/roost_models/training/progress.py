"""Whom training tells how far it is. A command's reporter is one; `Silent` is for programs."""

from typing import Protocol


class Progress(Protocol):
    """Told, and asked nothing."""

    def progress(self, done: int, total: int | None) -> None:
        """`done` of `total`; the note before it says of what: pictures, or trials."""
        ...

    def note(self, text: str) -> None:
        """A sentence worth reading meanwhile."""
        ...


class Silent:
    """Tells nobody."""

    def progress(self, done: int, total: int | None) -> None:
        """See `Progress`."""

    def note(self, text: str) -> None:
        """See `Progress`."""
